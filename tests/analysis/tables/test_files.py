"""Tables from made-up records: the sums, what may stand beside what, what is refused or stale."""

import csv
from pathlib import Path

import pytest
import typer
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from analysis.commands import add_commands
from analysis.grid import Grid, mean_sd, signed
from analysis.records import Gain, Spread, groups, read_all, spread
from analysis.tables import conditions
from analysis.tables import files as tables
from dsd.errors import UserError
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[3]


def cells(text: str, first: str) -> list[str]:
    """Returns the Markdown row that begins with `first`."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    assert len(rows) == 1, text
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


def paper_row(house, first: str = "ResNet-18") -> list[str]:
    folder = house.suite.root / "results" / "tables"
    return cells(tables.files(house.suite)[folder / "paper_versus_ours.md"], first)


def three_arms(house, **conditions) -> None:
    """Baseline 31 ± 1 of three seeds, dsd of two of them, finetune of all."""
    for seed, baseline, finetune in ((0, 30.0, 29.5), (1, 31.0, 30.5), (2, 32.0, 31.0)):
        house.run("baseline", seed, baseline, **conditions)
        house.run("finetune", seed, baseline, 33.0, finetune, **conditions)
    house.run("dsd", 0, 30.0, 33.0, 29.0, **conditions)
    house.run("dsd", 1, 31.0, 35.0, 29.5, **conditions)


def test_means_and_paired_gains_as_done_by_hand(house):
    three_arms(house)
    row = paper_row(house)
    assert row[1:5] == ["top-1 error (%)", "30.43", "29.17", "+1.26 (+4.1 %)"]
    assert row[5] == "31.00 ± 1.00 (n 3)"  # 30 31 32
    assert row[6] == "29.25 ± 0.35 (n 2)"  # 29 29.5
    assert row[7] == "30.33 ± 0.76 (n 3)"  # 29.5 30.5 31
    assert row[8:10] == ["not run", "not run"]
    assert row[10] == "+1.25 ± 0.35 (+4.1 %, n 2)"  # 1 and 1.5; of 30.5
    assert row[11] == "+0.75 ± 0.35 (+2.5 %, n 2)"  # 0.5 and 1; of 30


def test_the_csv_holds_the_same_numbers(house):
    three_arms(house)
    tables.write(house.suite)
    path = house.suite.root / "results" / "tables" / "paper_versus_ours.csv"
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["recipe"] == "images-resnet18"]
    dsd = next(row for row in rows if row["arm"] == "dsd")
    assert [dsd[key] for key in ("paper", "paper_confidence", "seeds", "ours", "ours_n")] == [
        "29.17",
        "seen",
        "0 1",
        "29.25",
        "2",
    ]
    assert float(dsd["gain_over_finetune"]) == pytest.approx(0.75)
    assert float(dsd["gain_over_finetune_sd"]) == pytest.approx(0.353553)
    assert float(dsd["gain_over_finetune_pct"]) == pytest.approx(2.5)
    random = next(row for row in rows if row["arm"] == "random")
    assert (random["ours"], random["ours_n"], random["paper"]) == ("", "0", "")


def test_one_seed_has_no_sd_and_no_shared_seed_has_no_gain(house):
    house.run("baseline", 0, 30.0)
    house.run("dsd", 1, 29.0)
    house.run("finetune", 1, 29.5)
    row = paper_row(house)
    assert row[5:7] == ["30.00 (n 1)", "29.00 (n 1)"]
    assert row[10:] == ["-", "+0.50 (+1.7 %, n 1)"]


def test_where_higher_is_better_a_gain_is_a_rise(house):
    for arm, score in (("baseline", 16.0), ("dsd", 18.0)):
        house.run(arm, 0, score, recipe="images-own", metric="bleu4", lower_is_better=False)
    (group,) = groups(read_all(house.runs))
    assert group.gain("dsd", "baseline", "test") == Gain(Spread(2.0, None, 1), 12.5)


def test_spread():
    assert spread([1.0]) == (1.0, None, 1)
    assert spread([1.0, 2.0, 6.0]) == pytest.approx((3.0, 7**0.5, 3))
    assert mean_sd(None) == "not run"
    assert signed(Gain(Spread(-0.5, 0.25, 2), -2.0)) == "-0.50 ± 0.25 (-2.0 %, n 2)"


def test_a_row_that_nobody_ran_says_so(house):
    row = paper_row(house, "ResNet-20")
    assert row[2:5] == ["8.26 (n 1)", "7.89 ± 0.03† (n 16)", "+0.37 (+4.5 %)"]
    assert row[5:] == ["not run"] * 5 + ["-", "-"]


APART = {
    "scale short": {"scale": "short"},
    "changed settings": {"overrides": ("phases.sparse.lr=0.02",)},
    "partial: 10 of 20 train images": {"notes": ["partial: 10 of 20 train images"]},
    "CIFAR-10 re-encoded as JPEG": {"notes": ["CIFAR-10 re-encoded as JPEG"]},
    "miniature: rendered images": {"scale": "mini", "notes": ["miniature: rendered images"]},
    "the paper has no such row": {"recipe": "images-own"},
}


@pytest.mark.parametrize("reason", APART)
def test_other_conditions_never_stand_beside_the_papers_figures(house, reason):
    three_arms(house, **APART[reason])
    assert paper_row(house)[5:] == ["not run"] * 5 + ["-", "-"]
    (group,) = groups(read_all(house.runs))
    text = conditions.arms_grid(group, group.reasons_apart(house.suite)).markdown()
    assert reason in text
    assert "- a note of the recipe" in text or "- a shorter schedule" in text
    assert cells(text, "dsd")[1:] == [
        "29.25 ± 0.35 (n 2)",
        "+1.25 ± 0.35 (+4.1 %, n 2)",
        "+0.75 ± 0.35 (+2.5 %, n 2)",
    ]


def test_examples_left_out_make_the_corpus_partial(house, rewrite):
    path = house.run("dsd", 0, 29.0)
    (run,) = read_all(house.runs)
    phases = run.record.model_dump()["phases"]
    phases[0]["skipped"] = phases[1]["skipped"] = ["a.jpg"]
    rewrite(path, phases=phases)
    assert paper_row(house)[6] == "not run"
    (group,) = groups(read_all(house.runs))
    assert group.reasons_apart(house.suite) == ["1 unusable examples left out"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("epochs: 1.25", "epochs: 5", "phases"),
        ("width: 8", "width: 16", "task"),
        ("momentum: 0.9", "momentum: 0.8", "optimizer"),
        ("exclude: [conv1]", "exclude: []", "exclude"),
    ],
)
def test_a_run_of_the_recipe_as_it_was_stands_apart(house, old, new, named):
    house.run("dsd", 0, 29.0)
    assert paper_row(house)[6] == "29.00 (n 1)"
    path = house.suite.recipes["images-resnet18"]
    path.write_text(path.read_text().replace(old, new))
    assert paper_row(house)[6] == "not run"
    (group,) = groups(read_all(house.runs))
    assert group.reasons_apart(house.suite) == [f"the recipe's {named} changed since the run"]


def test_a_run_whose_recipe_is_gone_stands_apart(house):
    house.run("dsd", 0, 29.0)
    house.suite.recipes["images-resnet18"].unlink()
    (group,) = groups(read_all(house.runs))
    assert group.reasons_apart(house.suite) == ["the recipe, as it is today, cannot make this run"]


def test_two_corpora_and_two_precisions_never_share_a_mean(house, rewrite):
    house.run("dsd", 0, 20.0)
    house.run("dsd", 1, 30.0, fingerprint="2")
    bf16 = house.run("dsd", 2, 40.0)
    (settings,) = (run.record.settings for run in read_all(house.runs) if run.path == bf16)
    rewrite(bf16, settings={**settings, "precision": "bf16"})
    found = groups(read_all(house.runs))
    assert sorted(group.final("dsd", "test").popitem() for group in found) == [
        (0, 20.0),
        (1, 30.0),
        (2, 40.0),
    ]


def test_seeds_of_the_same_data_share_a_mean_however_it_was_described(house):
    house.run("dsd", 0, 20.0, scale="short", notes=["CIFAR-10 as JPEG"])
    house.run("dsd", 1, 30.0, scale="short", notes=["CIFAR-10 re-encoded as JPEG"])
    (group,) = groups(read_all(house.runs))
    assert group.notes[0] == "CIFAR-10 as JPEG"
    assert "CIFAR-10 re-encoded as JPEG" in group.notes


def test_every_phase_of_every_arm(house):
    three_arms(house)
    house.run("dsdsd", 0, 30.0, 33.0, 29.0, 32.0, 28.0)
    house.run("llr", 0, 30.0, 29.9)
    (group,) = groups(read_all(house.runs))
    text = conditions.phases_grid(group).markdown()
    header = cells(text, "arm")
    assert header[2:] == [
        "after dense",
        "after sparse",
        "after re-dense",
        "after llr",
        "after sparse, round 2",
        "after re-dense, round 2",
    ]
    assert cells(text, "dsd")[:5] == [
        "dsd",
        "magnitude",
        "30.50 ± 0.71 (n 2)",
        "34.00 ± 1.41 (n 2)",
        "29.25 ± 0.35 (n 2)",
    ]
    assert cells(text, "finetune")[1] == "none"
    assert cells(text, "llr")[1:6] == ["-", "30.00 (n 1)", "-", "-", "29.90 (n 1)"]
    assert cells(text, "dsdsd")[6:] == ["32.00 (n 1)", "28.00 (n 1)"]
    assert "- llr: a note of the arm" in text


def test_several_test_sets_have_a_row_each(house):
    house.run("dsd", 0, 29.0, recipe="images-own", tests=("wsj92", "wsj93"))
    (group,) = groups(read_all(house.runs))
    text = conditions.arms_grid(group, []).markdown()
    assert cells(text, "dsd, wsj92")[1] == "29.00 (n 1)"
    assert cells(text, "dsd, wsj93")[1] == "30.00 (n 1)"


def test_an_unverified_figure_and_its_gain_carry_the_mark(house):
    path = house.suite.root / "results" / "paper" / "table4_resnet.csv"
    path.write_text(path.read_text().replace(",45,1e-3,seen", ",45,1e-3,unverified"))
    assert paper_row(house)[2:5] == ["30.43", "29.17†", "+1.26† (+4.1 %)"]


def test_every_generated_file_can_go_stale(house):
    readme = house.suite.root / "README.md"
    readme.write_text(f"# before\n{tables.BEGIN}\n{tables.END}\nafter\n")
    three_arms(house)
    house.run("dsd", 0, 29.0, scale="short")
    with pytest.raises(UserError, match="stale"):
        tables.check(house.suite)
    written = tables.write(house.suite)
    wanted = tables.files(house.suite)
    assert sorted(written) == sorted(wanted)
    assert tables.write(house.suite) == []
    for path in written:
        before = path.read_bytes()
        path.write_bytes(before.replace(b"18", b"81") if b"18" in before else b"stale")
        assert tables.stale(wanted) == [path]
        path.write_bytes(before)
    (house.suite.root / "docs" / "recipes.md").unlink()
    with pytest.raises(UserError, match=r"docs/recipes\.md"):
        tables.check(house.suite)


def test_a_new_record_makes_the_tables_stale_and_a_new_rate_the_recipes_page(house):
    tables.write(house.suite)
    house.run("dsd", 0, 29.0)
    with pytest.raises(UserError, match=r"paper_versus_ours\.md, .*phases\.csv, .*: stale"):
        tables.check(house.suite)
    tables.write(house.suite)
    path = house.suite.recipes["images-own"]
    path.write_text(path.read_text().replace("lr: 0.01", "lr: 0.02"))
    with pytest.raises(UserError, match=r"^docs/recipes\.md: stale"):
        tables.check(house.suite)


def test_every_page_has_its_markdown_csv_and_latex(house):
    three_arms(house)
    house.run("dsd", 0, 29.0, scale="short")
    folder = house.suite.root / "results" / "tables"
    written = {path.name: text for path, text in tables.files(house.suite).items()}
    names = {path.stem for path in tables.files(house.suite) if path.parent == folder}
    assert {*(f"table{n}" for n in range(1, 10)), "appendix", "model_zoo"} <= names
    for name in names - {"table5", "weights"}:  # which these records have nothing for
        markdown, latex = written[f"{name}.md"], written[f"{name}.tex"]
        assert markdown.startswith("<!-- written by `dsd tables`; do not edit -->\n# ")
        assert latex.startswith(
            "% written by `dsd tables`; do not edit; needs \\usepackage{booktabs"
        )
        assert len(written[f"{name}.csv"].splitlines()) > 1
        tables_in = markdown.count("\n| --- |")
        assert tables_in == latex.count(r"\begin{table}") == latex.count(r"\end{table}") > 0
        cells = sum(line.count(" | ") for line in markdown.splitlines() if line.startswith("| "))
        rule = sum(line.count(" | ") for line in markdown.splitlines() if line.startswith("| ---"))
        body = [line for line in latex.splitlines() if line.endswith(r" \\")]
        assert sum(line.count(" & ") for line in body) == cells - rule
    assert written["table4.md"].count("\n| --- |") == 2
    assert r"30.33 $\pm$ 0.76 (n 3)" in written["paper_versus_ours.tex"]
    assert written["table4.tex"].count(r"$\dagger$: not verified in a copy of the paper.\par") == 2


def test_the_readme_has_a_line_for_each_other_condition_and_test_set(house):
    readme = house.suite.root / "README.md"
    readme.write_text(f"{tables.BEGIN}\n{tables.END}\n")
    three_arms(house, scale="short", notes=["CIFAR-10, JPEG q75"])
    house.run("llr", 0, 30.0, scale="short", notes=["CIFAR-10, JPEG q75"])
    house.run("dsd", 0, 27.0, recipe="images-resnet20", scale="mini")
    house.run("dsd", 0, 20.0, recipe="images-own", metric="wer_pct", tests=("clean", "other"))
    house.run("dsd", 0, 28.0, overrides=("phases.sparse.lr=0.02",))
    main, others = tables.files(house.suite)[readme].split("**Under other conditions**")
    assert cells(main, "ResNet-18")[5:] == ["not run"] * 5 + ["-", "-"]
    header = cells(others, "")
    assert header[6:11] == ["baseline", "dsd", "finetune", "llr", "random"]
    assert cells(others, "ResNet-18")[1:] == [
        *("images", "short", "test", "top-1 error (%)", "1 to 3"),
        *("31.00 ± 1.00", "29.25 ± 0.35", "30.33 ± 0.76", "30.00", "not run"),
        *("+1.25 ± 0.35 (+4.1 %, n 2)", "+0.75 ± 0.35 (+2.5 %, n 2)"),
        "CIFAR-10, JPEG q75",
    ]
    clean, other = [line for line in others.splitlines() if line.startswith("| Our own |")]
    assert "| images | full | clean | WER (%) | 1 | not run | 20.00 |" in clean
    assert "| images | full | other | WER (%) | 1 | not run | 21.00 |" in other
    assert clean.endswith("| the paper has no such row |")
    assert "| images | mini | test | top-1 error (%) | 1 | not run | 27.00 |" in others
    assert "| scale mini |" in others  # nothing else keeps it apart
    assert "phases.sparse.lr" not in others  # sweeps are left to results/tables/
    assert "[results/tables/other_conditions.md](results/tables/other_conditions.md)" in others
    assert "\n- " not in others  # their notes are there


def test_only_the_text_between_the_readmes_markers_changes(house):
    readme = house.suite.root / "README.md"
    readme.write_text(f"# before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    house.run("dsd", 0, 29.0, scale="short")
    house.run("dsd", 0, 28.0, overrides=("phases.sparse.lr=0.02",))
    tables.write(house.suite)
    text = readme.read_text()
    assert text.startswith(f"# before\n{tables.BEGIN}\n**Under the paper's conditions**")
    assert text.endswith(f"{tables.END}\nafter\n")
    assert "old" not in text
    assert "| short |" in text
    readme.write_text(f"{tables.BEGIN}\n")
    with pytest.raises(UserError, match=r"README\.md: has .* but no"):
        tables.check(house.suite)


def test_the_recipes_page_tells_whose_schedule_it_is(house):
    tables.write(house.suite)
    text = (house.suite.root / "docs" / "recipes.md").read_text()
    overview, section = text.split("## images-own")[0], text.split("## images-own")[1]
    arms = ["baseline", "dsd", "dsdsd", "llr", "finetune", "random"]
    assert cells(overview, "recipe")[1:] == arms
    sources = ["paper", "paper", "ours", "paper", "ours", "ours"]
    assert cells(overview, "[images-own](#images-own)")[1:] == sources
    section = section.split("## ")[0]
    assert cells(section, "random")[1:4] == [
        "ours",
        "dense 3 at 0.1, sparse 1.25 at 0.01 (sparsity 0.3), re-dense 1 at 0.001",
        "random",
    ]
    assert cells(section, "llr")[2:] == [
        "dense 3 at 0.1, llr 2 at 1e-5",
        "-",
        "llr: a note of the arm",
    ]
    assert "- scale `short`: dense 1 at 0.1; a shorter schedule" in section


def test_a_narrow_terminal_gets_running_text_and_loses_nothing():
    grid = Grid("t", ("a", "b"), [("one", "elephantine"), ("two", "-")])
    for width, table in ((40, True), (12, False)):
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        grid.show(console)
        text = console.export_text()
        assert ("┏" in text) == table
        assert "elephantine" in text


def test_the_committed_tables_are_fresh():
    tables.check(Suite(ROOT))


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
    shown = invoke("tables")
    assert "29.00 (n 1)" in shown.stdout
    assert "Table 1: overview" in shown.stdout
    assert "Table 4: ResNet-50 on ImageNet" in shown.stdout
    assert "wrote docs/recipes.md" in shown.stdout
    assert invoke("tables", "--check").exit_code == 0
    assert "wrote" not in invoke("tables", "--records", str(house.runs)).stdout
    none = invoke("tables", "--scale", "mini").exception
    assert "runs/records: no record of scale mini" in str(none)
    assert "leave out" in str(invoke("tables", "--scale", "mini", "--check").exception)
    assert "no such folder" in str(invoke("tables", "--records", "nowhere").exception)


def test_a_scale_shows_its_own_runs_and_not_the_papers_figures(house, monkeypatch):
    monkeypatch.chdir(house.suite.root)
    house.run("dsd", 0, 29.0)
    house.run("dsd", 0, 28.0, scale="short")
    text = invoke("tables", "--scale", "short").stdout
    assert "28.00" in text
    assert "29.00" not in text
    assert "29.17" not in text
    assert "Table 1" not in text


def test_stale_tables_fail_with_exit_code_2_and_no_plotting_library_is_imported(house, dsd):
    for package in ("analysis", "models"):
        (house.suite.root / package).symlink_to(ROOT / package)
    stale = dsd("tables", "--check", cwd=house.suite.root, PYTHONPROFILEIMPORTTIME="1")
    assert (stale.returncode, stale.stdout) == (2, "")
    lines = stale.stderr.splitlines()
    assert lines[-1].startswith("dsd: results/tables/paper_versus_ours.md, ")
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "analysis.tables.files" in imported
    assert not {"matplotlib", "pandas"} & imported
