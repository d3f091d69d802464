"""What `dsd tables` prints and writes, and whether what was written is still true."""

import resource
import shutil
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from analysis import results
from analysis.commands import add_commands
from analysis.tables import files as tables
from dsd.errors import UserError
from dsd.runs.record import read_examples
from dsd.suite.folder import Suite
from tests.analysis.conftest import contents, lines, write

ROOT = Path(__file__).parents[3]
BEGIN, END = (marker.format("table") for marker in (tables.BEGIN, tables.END))


def cells(text: str, first: str) -> dict[str, str]:
    """Returns the Markdown row that begins with `first`, by its table's header."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    (at,) = (i for i, row in enumerate(rows) if row[0] == first)
    header = next(rows[i - 1] for i in range(at, 0, -1) if set(rows[i]) == {"---"})
    return dict(zip(header, rows[at], strict=True))


def test_every_phase_of_every_arm(house):
    house.three_seeds()
    house.run("dsdsd", 0, 30.0, 33.0, 29.0, 32.0, 27.0)
    house.run("llr", 0, 30.0, 29.9)
    (grid,) = house.page("phases").grids
    rows = lines(grid)
    after = ["dense", "sparse", "re-dense", "llr", "sparse, round 2", "re-dense, round 2"]
    assert grid.header == ("arm", "mask", *(f"after {phase}" for phase in after))
    for arm, wanted in (
        ("dsd", ["magnitude", "31.00 ± 1.00 (n 3)", "33.00 ± 0.00 (n 3)", "28.50 ± 0.50 (n 3)"]),
        ("finetune", ["none", "31.00 ± 1.00 (n 3)", "33.00 ± 0.00 (n 3)", "28.50 ± 1.50 (n 3)"]),
        ("llr", ["-", "30.00 (n 1)", "-", "-", "29.90 (n 1)", "-", "-"]),
    ):
        assert [*rows[arm].values()][1 : len(wanted) + 1] == wanted
    assert rows["dsdsd"]["after sparse, round 2"] == "32.00 (n 1)"
    assert rows["dsdsd"]["after re-dense, round 2"] == "27.00 (n 1)"
    assert "llr: a note of the arm" in grid.notes
    csv = house.csv("phases", "arm", "phase", "round", "metric")
    row = csv["dsd", "sparse", "1", "top1_error_pct"]
    assert [row[key] for key in ("epochs", "lr", "sparsity", "mask", "test", "test_n")] == [
        *("1.25", "0.01", "0.3", "magnitude", "33", "3")
    ]
    assert csv["dsdsd", "redense", "2", "loss"]["test"] == "1"


def test_several_test_sets_have_a_row_each(house):
    house.run("dsd", 0, 29.0, recipe="images-own", tests=("wsj92", "wsj93"))
    _, grid = house.page("other_conditions").grids
    found = {arm: row["top-1 error (%)"] for arm, row in lines(grid).items()}
    assert found == {"dsd, wsj92": "29.00 (n 1)", "dsd, wsj93": "30.00 (n 1)"}


def test_every_generated_file_can_go_stale(house):
    readme = house.suite.root / "README.md"
    readme.write_text(f"# before\n{BEGIN}{END}after\n")
    house.three_seeds()
    house.run("dsd", 0, 29.0, scale="short")
    with pytest.raises(UserError, match="stale"):
        house.check()
    written = house.write()
    assert sorted(path.name for path in written) == sorted(house.written())
    assert house.write() == []
    for path in written:
        before = path.read_bytes()
        path.write_bytes(before.replace(b"18", b"81") if b"18" in before else b"stale")
        assert house.write() == [path]
        assert path.read_bytes() == before
    (house.suite.root / "docs" / "recipes.md").unlink()
    with pytest.raises(UserError, match=r"docs/recipes\.md"):
        house.check()


def test_a_new_record_makes_the_tables_stale_and_a_new_rate_the_recipes_page(house, captions):
    house.write()
    house.run("dsd", 0, 29.0)
    captions("dsd", 0, 50.0, 50.0, 53.0)
    with pytest.raises(UserError, match=r"paper_versus_ours\.md, .*table5\.md, .*phases\.csv"):
        house.check()
    house.write()
    path = house.suite.recipes["images-own"]
    path.write_text(path.read_text().replace("lr: 0.01", "lr: 0.02"))
    with pytest.raises(UserError, match=r"^docs/recipes\.md: stale"):
        house.check()


def test_every_page_has_its_markdown_and_csv(house):
    house.three_seeds()
    house.run("dsd", 0, 29.0, scale="short")
    pages = {page.name: page for page in tables.pages(house.results)}
    assert {*(f"table{n}" for n in range(1, 10)), "appendix", "model_zoo"} <= pages.keys()
    written = house.written()
    for name in pages.keys() - {
        "table5",
        "weights",
        "losses",
    }:  # which these records have nothing for
        markdown = written[f"{name}.md"]
        assert markdown.startswith("<!-- written by `dsd tables`; do not edit -->\n# ")
        assert len(written[f"{name}.csv"].splitlines()) > 1
        assert markdown.count("\n| --- |") == len(pages[name].grids) > 0
    assert len(pages["table4"].grids) == 2


def test_the_module_of_a_page_is_found_by_its_name():
    modules = [path.stem for path in (ROOT / "analysis" / "tables").glob("*.py")]
    elsewhere = {"model_zoo": "paper_versus_ours", "losses": "verdicts"}
    for page in tables.pages(results.Results(Suite(ROOT), [])):
        name = elsewhere.get(page.name, page.name)
        assert [one for one in modules if name in one.split("_") or name == one], page.name


def test_other_conditions_begin_with_a_line_for_each_and_its_test_sets(house):
    house.three_seeds(scale="short", notes=["CIFAR-10, JPEG q75"])
    house.run("llr", 0, 30.0, scale="short", notes=["CIFAR-10, JPEG q75"])
    house.run("dsd", 0, 27.0, recipe="images-resnet20", scale="mini")
    house.run("dsd", 0, 20.0, recipe="images-own", metric="wer_pct", tests=("clean", "other"))
    house.run("dsd", 0, 28.0, overrides=("phases.sparse.lr=0.02",))
    others = house.written()["other_conditions.md"].split("\n\n**")[1]
    assert cells(others, "ResNet-18") == {
        "": "ResNet-18",
        "corpus": "images",
        "scale": "short",
        "test set": "test",
        "metric": "top-1 error (%)",
        "seeds": "1 to 3",
        "baseline": "31.00 ± 1.00",
        "dsd": "28.50 ± 0.50",
        "finetune": "28.50 ± 1.50",
        "llr": "30.00",
        "random": "not run",
        "dsd's gain over baseline": "+2.50 ± 0.50 (+8.1 %, n 3)",
        "dsd's gain over finetune": "+0.00 ± 1.00 (+0.0 %, n 3)",
        "why apart": "CIFAR-10, JPEG q75",
    }
    clean, other = [line for line in others.splitlines() if line.startswith("| Our own |")]
    assert "| images | full | clean | WER (%) | 1 | not run | 20.00 |" in clean
    assert "| images | full | other | WER (%) | 1 | not run | 21.00 |" in other
    assert clean.endswith("| the paper has no such row |")
    assert "| images | miniature | test | top-1 error (%) | 1 | not run | 27.00 |" in others
    assert others.count("| miniature |") == 2  # nothing else keeps it apart
    assert "phases.sparse.lr" not in others  # sweeps have tables of their own


def test_only_the_text_between_the_readmes_markers_changes(house):
    readme = house.suite.root / "README.md"
    readme.write_text(f"# before\n{BEGIN}old\n{END}after\n")
    house.run("dsd", 0, 29.0, scale="short")
    house.write()
    text = readme.read_text()
    assert text.startswith(f"# before\n{BEGIN}|  | metric | paper: baseline |")
    assert text.endswith(f"{END}after\n")
    assert "old" not in text
    readme.write_text(BEGIN)
    with pytest.raises(UserError, match=r"README\.md: has no <!-- table:end -->"):
        house.check()


def test_the_recipes_page_tells_whose_schedule_it_is(house):
    text = house.written()["recipes.md"]
    overview, section = text.split("## images-own")[0], text.split("## images-own")[1]
    section = section.split("## ")[0]
    assert cells(overview, "[images-own](#images-own)") == {
        "recipe": "[images-own](#images-own)",
        "baseline": "paper",
        "dsd": "paper",
        "finetune": "ours",
        "llr": "paper",
        "random": "ours",
        "dsdsd": "ours",
    }
    phases = "phases: epochs at rate"
    random = cells(section, "random")
    assert random[phases] == (
        "dense 3 at 0.1, sparse 1.25 at 0.01 (sparsity 0.3), re-dense 1 at 0.001"
    )
    assert (random["schedule"], random["mask"]) == ("ours", "random")
    llr = cells(section, "llr")
    assert (llr[phases], llr["note"]) == ("dense 3 at 0.1, llr 2 at 1e-5", "llr: a note of the arm")
    assert "- scale `short`: dense 1 at 0.1; a shorter schedule" in section


def test_the_committed_tables_are_fresh():
    found = results.read(Suite(ROOT))
    tables.check(found.suite, tables.files(found, tables.pages(found)))


def invoke(*words: str) -> Result:
    app = typer.Typer()
    add_commands(app)
    return CliRunner().invoke(app, words)


def test_the_command_prints_writes_and_checks(house, monkeypatch):
    monkeypatch.chdir(house.suite.root)
    house.run("dsd", 0, 29.0)
    stale = invoke("tables", "--check")
    assert isinstance(stale.exception, UserError)
    assert stale.stdout == ""
    assert not (house.suite.root / "docs").exists()
    shown = invoke("tables").stdout
    assert "Table 1: overview" not in shown
    assert "no runs to sum up yet" in shown  # one arm alone tests no claim
    assert "wrote docs/recipes.md" in shown
    assert invoke("tables", "--check").exit_code == 0
    everything = invoke("tables", "--records", str(house.runs)).stdout
    assert "29.00 (n 1)" in everything
    assert "Table 1: overview" in everything
    assert "Table 4: ResNet-50 on ImageNet" in everything
    assert "wrote" not in everything
    none = invoke("tables", "--scale", "mini").exception
    assert "runs/records: no record of scale mini" in str(none)
    for other in (("--scale", "mini"), ("--latex", "tex"), ("--records", ".")):
        assert "leave out" in str(invoke("tables", "--check", *other).exception)
    assert "no such folder" in str(invoke("tables", "--records", "nowhere").exception)


def test_latex_is_made_on_demand_and_nothing_else(house, monkeypatch):
    monkeypatch.chdir(house.suite.root)
    house.three_seeds()
    shown = invoke("tables", "--latex", "tex/tables")
    assert shown.exit_code == 0
    written = {path.stem: path.read_text() for path in Path("tex/tables").iterdir()}
    assert {*shown.stdout.splitlines()} == {f"tex/tables/{name}.tex" for name in written}
    assert not Path("results/tables").exists()
    pages = {page.name: page for page in tables.pages(house.results)}
    assert written.keys() == pages.keys() - {"table5", "weights", "other_conditions", "losses"}
    for name, text in written.items():
        count = len(pages[name].grids)
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") == count
    assert "28.50 ± 0.50 (n 3)" in written["paper_versus_ours"]
    assert written["table4"].count(r"†: not verified in a copy of the paper.\par") == 2


def test_a_scale_shows_its_own_runs_and_not_the_papers_figures(house, monkeypatch):
    monkeypatch.chdir(house.suite.root)
    house.run("dsd", 0, 29.0)
    house.run("dsd", 0, 28.0, scale="short")
    text = invoke("tables", "--scale", "short").stdout
    assert "28.00" in text
    assert "29.00" not in text
    assert "29.17" not in text
    assert "Table 1" not in text


def test_stale_tables_fail_with_exit_code_2_and_a_second_run_needs_no_slow_library(house, dsd):
    for package in ("analysis", "models"):
        (house.suite.root / package).symlink_to(ROOT / package)
    house.three_seeds()

    def check() -> tuple[int, str, set[str]]:
        done = dsd("tables", "--check", cwd=house.suite.root, PYTHONPROFILEIMPORTTIME="1")
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        return done.returncode, lines[-1], {line.rpartition("|")[2].strip() for line in lines}

    first, again = check(), check()
    assert first[:2] == again[:2]
    assert first[0] == 2
    assert first[1].startswith("dsd: results/tables/verdicts.md, ")
    assert {"analysis.tables.files", "scipy.stats._stats_py", "torch"} <= first[2]
    assert not {"matplotlib", "pandas"} & first[2]
    assert not {"matplotlib", "pandas", "scipy.stats._stats_py", "torch"} & again[2]


@pytest.mark.slow
def test_ten_times_the_records_need_under_five_cpu_seconds(tmp_path, dsd):
    """The committed records under other seeds; the second run, with nothing changed."""
    for name in ("analysis", "models", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "results" / "paper", tmp_path / "results" / "paper")
    runs = tmp_path / "results" / "runs"
    runs.mkdir()
    for path in (ROOT / "results" / "runs").glob("*.json"):
        content, examples = contents(path), read_examples(path)
        for copy in range(10):
            seed = content["seed"] + 100 * copy
            stem = path.stem.rpartition(".seed")[0] + f".seed{seed}"
            settings = {**content["settings"], "seed": seed}
            write(runs / f"{stem}.json", {**content, "seed": seed, "settings": settings}, examples)
    assert dsd("tables", cwd=tmp_path).returncode == 0

    def cpu_seconds(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert dsd(*words, cwd=tmp_path).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert cpu_seconds("tables") < 5
