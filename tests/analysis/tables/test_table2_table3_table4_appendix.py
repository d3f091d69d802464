"""Tables 2 to 4 and the appendix from made-up records: row by row, step by step."""

from pathlib import Path

import pytest

from analysis import paper
from analysis.grid import Grid
from analysis.tables import table2_table3_table4_appendix as steps
from analysis.tables.table2_table3_table4_appendix import PATHS, TABLES
from dsd.suite.folder import Suite
from tests.analysis.conftest import lines

ROOT = Path(__file__).parents[3]
GOOGLENET, VGG, RESNET18, RESNET50, CIFAR = TABLES
PAPER = ("paper: top-1 error (%)", "paper: top-5 error (%)")
OURS = ("ours: top-1 error (%)", "ours: top-5 error (%)")
PLAN = ("sparsity (%)", "epochs", "rate")


def the_grid(house, one=RESNET18) -> Grid:
    (table,) = steps.tables(house.results, one)
    return table.grid()


def cells(grid: Grid, row: str, *headers: str) -> list[str]:
    return [lines(grid)[row][header] for header in headers]


def controls(house, image) -> None:
    house.three_seeds(image)
    image("random", 0, 30.0, 40.0, 35.0)
    image("llr", 0, 30.0, 29.8)
    image("sparse", 0, 30.0, 33.0, 29.9)


@pytest.fixture
def kept(house):
    """The recipe has an arm whose mask is never dropped, too."""
    path = house.suite.recipes["images-resnet18"]
    arm = "  sparse: {source: ours, phases: [dense, sparse, redense], keep_mask: true}\nnotes:"
    path.write_text(path.read_text().replace("notes:", arm, 1))


def test_without_records_the_papers_rows_stand_alone_and_ours_are_not_run(house):
    grid = the_grid(house, VGG)
    assert grid.title == "Table 3: VGG-16 on ImageNet"
    assert grid.header == ("", *PLAN, *PAPER, *OURS)
    halves = [f"{arm} {h} half" for arm in ("finetune", "random") for h in ("first", "second")]
    assert [*lines(grid)] == [
        *("baseline", "sparse", "dsd", "llr", *halves, "sparse second half"),
        *("improvement", "improvement (%)"),
    ]
    assert cells(grid, "sparse", *PLAN, *PAPER) == ["30", "1.25", "1e-4", "28.19", "9.23"]
    assert cells(grid, "llr", *PLAN, *PAPER) == ["0", "20", "1e-7", "29.33†", "10.00†"]
    assert cells(grid, "random second half", *PLAN, *PAPER) == ["-"] * 5
    assert cells(grid, "improvement", *PLAN, *PAPER) == [*["-"] * 3, "4.31", "2.65"]
    assert cells(grid, "improvement (%)", *PAPER) == ["13.7", "23.4"]
    assert {cell for row in lines(grid) for cell in cells(grid, row, *OURS)} == {"not run"}


def test_the_appendix_has_the_papers_fine_tuning_and_no_top_5(house):
    grid = the_grid(house, CIFAR)
    assert grid.header == ("", *PLAN, PAPER[0], OURS[0])
    assert [*lines(grid)][:5] == [
        *("baseline", "finetune first half", "finetune second half", "dsd sparse", "dsd")
    ]
    assert cells(grid, "baseline", PAPER[0]) == ["8.26 (n 1)"]
    assert cells(grid, "dsd sparse", *PLAN, PAPER[0]) == [
        *("50", "45", "1e-3", "8.12† ± 0.05† (n 16)")
    ]
    assert cells(grid, "dsd", PAPER[0]) == ["7.89 ± 0.03† (n 16)"]
    assert "The paper's dsd: mean seen; sd unverified" in grid.notes


def test_ours_stand_at_the_same_step(house, image, kept):
    controls(house, image)
    grid = the_grid(house)
    for row, top1, top5 in (
        ("baseline", "31.00 ± 1.00 (n 3)", "15.50 ± 0.50 (n 3)"),
        ("sparse", "33.00 ± 0.00 (n 3)", "16.50 ± 0.00 (n 3)"),
        ("dsd", "28.50 ± 0.50 (n 3)", "14.25 ± 0.25 (n 3)"),
        ("llr", "29.80 (n 1)", "14.90 (n 1)"),
        ("finetune first half", "33.00 ± 0.00 (n 3)", "16.50 ± 0.00 (n 3)"),
        ("finetune second half", "28.50 ± 1.50 (n 3)", "14.25 ± 0.75 (n 3)"),
        ("random first half", "40.00 (n 1)", "20.00 (n 1)"),
        ("random second half", "35.00 (n 1)", "17.50 (n 1)"),
        ("sparse second half", "29.90 (n 1)", "14.95 (n 1)"),
        # 2, 2.5 and 3 of a mean of 31; half of it in top-5
        ("improvement", "2.50 ± 0.50 (n 3)", "1.25 ± 0.25 (n 3)"),
        ("improvement (%)", "8.06 (n 3)", "8.06 (n 3)"),
    ):
        assert cells(grid, row, *OURS) == [top1, top5], row
    other = the_grid(house, RESNET50)
    assert {cell for row in lines(other) for cell in cells(other, row, *OURS)} == {"not run"}


def test_a_test_set_without_top_5_leaves_its_column_empty(house):
    house.run("dsd", 0, 30.0, 33.0, 29.0)
    assert cells(the_grid(house), "dsd", *OURS) == ["29.00 (n 1)", "not run"]
    assert cells(the_grid(house), "improvement", *OURS) == ["not run", "not run"]


APART = {
    "scale": {"scale": "short"},
    "changed settings": {"overrides": ("phases.sparse.lr=0.02",)},
    "partial": {"notes": ["partial: 10 of 20 train images"]},
    "another recipe": {"recipe": "images-own"},
    "another network": {"recipe": "images-resnet20"},
}


@pytest.mark.parametrize("conditions", APART.values(), ids=APART)
def test_other_conditions_never_stand_in_the_table(house, image, conditions):
    house.three_seeds(image, **conditions)
    for one in (RESNET18, RESNET50):
        grid = the_grid(house, one)
        assert {cell for row in lines(grid) for cell in cells(grid, row, *OURS)} == {"not run"}


def test_two_groups_of_one_recipe_have_a_table_each(house, image):
    image("dsd", 0, 30.0, 33.0, 29.0)
    image("dsd", 1, 30.0, 33.0, 28.0, fingerprint="2")
    found = [table.grid() for table in steps.tables(house.results, RESNET18)]
    assert [cells(grid, "dsd", OURS[0]) for grid in found] == [["29.00 (n 1)"], ["28.00 (n 1)"]]


def test_notes_tell_what_is_known_of_the_papers_figures_and_of_our_runs(house, image):
    notes = the_grid(house, GOOGLENET).notes
    assert "The paper's baseline: seen (a later revision may say 250 epochs: unverified)" in notes
    assert not any("Made" in note for note in notes)
    house.three_seeds(image)
    notes = the_grid(house).notes
    assert "a note of the recipe" in notes
    assert notes[-1].startswith("Made 2020-01-02 on a device")


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.title)
def test_the_papers_improvements_follow_from_its_figures(house, one):
    assert not [note for note in the_grid(house, one).notes if "prints" in note]


def test_an_improvement_that_does_not_follow_is_named(house):
    path = house.suite.root / "results" / "paper" / "table4_resnet.csv"
    path.write_text(path.read_text().replace("improve_abs,1.26", "improve_abs,1.13"))
    (note,) = [note for note in the_grid(house).notes if "prints" in note]
    assert note == (
        "ResNet-18 on ImageNet, top-1 error (%): the paper prints an improvement of 1.13; its "
        "printed figures give 1.26, so they do not agree."
    )
    assert cells(the_grid(house), "improvement", PAPER[0]) == ["1.13"]
    assert not [note for note in the_grid(house, RESNET50).notes if "prints" in note]


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.title)
def test_the_recipe_follows_the_rows_and_the_controls_their_paths(one):
    """Every row's epochs, rate and sparsity, by the path of phases that the row stands for."""
    suite = Suite(ROOT)
    (recipe,) = [
        recipe
        for recipe in map(suite.recipe, suite.recipes)
        if (recipe.table, recipe.column) == (one.file, one.column)
    ]
    nodes = {}
    for arm in recipe.arms:
        plan = recipe.plan(arm)
        for i, node in enumerate(plan):
            nodes["/".join(n.folder for n in plan[: i + 1])] = node
    assert set(PATHS.values()) == set(nodes)
    for row in paper.load(ROOT).rows(one.file):
        if row["row"] in PATHS:
            node = nodes[PATHS[row["row"]]]
            sparsity = 0 if node.mask == "none" else 100 * node.phase.sparsity
            assert [float(row[key]) for key in ("epochs", "lr", "sparsity_pct")] == [
                *(node.phase.epochs, node.phase.lr, sparsity)
            ]


def test_the_csv_holds_the_same_numbers(house, image, kept):
    controls(house, image)
    rows = house.csv("table4", "table", "row", "metric")
    assert len(rows) == 2 * 2 * 9

    def row(name: str, top: int = 1) -> dict[str, str]:
        return rows["Table 4: ResNet-18 on ImageNet", name, f"top{top}_error_pct"]

    one = row("baseline")
    texts = ("paper", "paper_confidence", "paper_epochs", "seeds")
    assert [one[key] for key in texts] == ["30.43", "seen", "90", "0 1 2"]
    assert [float(one[key]) for key in ("ours", "ours_sd", "dsd_gain_over_row")] == [31, 1, 2.5]
    assert float(one["dsd_gain_over_row_pct"]) == pytest.approx(250 / 31, rel=1e-5)
    fine = row("finetune_second_half", 5)
    assert (fine["paper"], fine["paper_lr"], fine["recipe"]) == ("", "", "images-resnet18")
    assert (fine["ours"], fine["dsd_gain_over_row"]) == ("14.25", "0")
    assert row("random_second_half")["dsd_gain_over_row"] == "7"
    assert float(row("llr")["dsd_gain_over_row"]) == pytest.approx(1.8)
    assert float(row("sparse_second_half")["dsd_gain_over_row"]) == pytest.approx(1.9)
    assert row("sparse")["dsd_gain_over_row"] == ""
    assert row("dsd")["dsd_gain_over_row_n"] == "0"
