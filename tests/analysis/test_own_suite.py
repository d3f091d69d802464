"""A suite of one's own, outside the checkout: tables, figures and report, with nothing foreign."""

import re

import pytest

FOREIGN = re.compile(
    r"NeuralTalk|Flickr|ImageNet|WSJ|DeepSpeech|beside the paper|the paper's figures|not verified",
    re.I,
)
RUN = ("points-mlp", "--arm", "dsd", "--arm", "finetune", "--seed", "0", "--seed", "1")


@pytest.fixture
def ran(own_suite, dsd):
    """The suite, with a metric of shares where percentages were, and runs of it."""
    task = own_suite / "recipes" / "points" / "task.py"
    text = task.read_text().replace("error_pct", "wrong_share").replace("100 * float", "float")
    task.write_text(text.replace("100 * wrong", "wrong"))
    done = dsd(
        "run",
        *RUN,
        "--records",
        "results/runs",
        cwd=own_suite,
        POINTS=str(own_suite),
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"test wrong_share 0\.\d{4}\b", done.stderr), "four decimals of a share"
    return own_suite


def test_tables_figures_and_report_are_those_of_the_suite_alone(ran, dsd):
    done = dsd("tables", cwd=ran)
    assert done.returncode == 0, done.stderr
    assert not FOREIGN.search(done.stdout)
    assert "The last figures of every arm" in done.stdout
    whole = (ran / "results" / "tables" / "other_conditions.md").read_text()
    assert re.search(r"0\.\d{4} ± 0\.\d{4} \(n 2\)", whole)
    written = sorted(path.relative_to(ran).as_posix() for path in ran.rglob("*.md"))
    pages = ("other_conditions", "phases", "significance", "weights")
    assert written == ["docs/recipes.md", *(f"results/tables/{page}.md" for page in pages)]
    assert dsd("tables", "--check", cwd=ran).returncode == 0

    done = dsd("figures", cwd=ran)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (ran / "results" / "figures").glob("*.png")}
    assert {"points-mlp.seed0.curves.png", "points-mlp.budgets.png"} <= names
    assert any("dsd.seed0" in name for name in names)
    assert dsd("figures", "--check", cwd=ran).returncode == 0

    done = dsd("report", cwd=ran)
    assert done.returncode == 0, done.stderr
    page = (ran / "results" / "report.html").read_text()
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>", "", page, flags=re.S)
    assert "A small network on points" in words
    assert not FOREIGN.search(words), FOREIGN.search(words)
    assert re.search(r"0\.\d{4} ± 0\.\d{4} \(n 2\)", words)


def test_a_wrong_command_is_still_named(own_suite, dsd):
    done = dsd("tabels", cwd=own_suite)
    assert done.returncode == 2
    assert "did you mean 'tables'?" in done.stderr
