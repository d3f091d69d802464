"""Records and tables of the paper that cannot be used: refused in one line that names the file."""

import csv
import json
from pathlib import Path

import pytest

from analysis import paper
from analysis.records import read_all
from dsd.errors import UserError
from dsd.runs import sealed

ROOT = Path(__file__).parents[3]


def test_the_same_run_twice_is_refused(house):
    house.run("dsd", 0, 29.0)
    house.run("dsd", 0, 28.0, name="copy")
    with pytest.raises(UserError, match=r"images-resnet18\.dsd\.seed0\.json: .*also in copy\.json"):
        read_all(house.runs)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_name": "other"}'])
def test_a_foreign_file_is_refused(house, text):
    house.run("dsd", 0, 29.0)
    (house.runs / "foreign.json").write_text(text)
    with pytest.raises(UserError, match=r"foreign\.json"):
        read_all(house.runs)


def test_a_broken_record_is_refused(house):
    path = house.run("dsd", 0, 29.0)
    whole = json.loads(path.read_text())
    for changes, fault in (
        ({"version": 99}, "version 99"),
        ({"seed": "x"}, "seed"),
        ({"metric": "top9_error_pct"}, "no test top9_error_pct"),
        ({"phases": [whole["phases"][0], whole["phases"][2]]}, "not those of its settings"),
        ({"phases": []}, "phases"),
    ):
        sealed.write(path, {**whole, **changes})
        with pytest.raises(UserError, match=fault) as error:
            read_all(house.runs)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("field", ["metric", "phases", "seed", "table"])
def test_a_record_with_a_missing_field_is_refused(house, field):
    path = house.run("dsd", 0, 29.0)
    record = json.loads(path.read_text())
    del record[field]
    sealed.write(path, record)
    with pytest.raises(UserError, match=rf"^{path}: .*{field}") as error:
        house.written()
    assert "\n" not in str(error.value)


PAPER = sorted((ROOT / "results" / "paper").glob("*.csv"))
DAMAGE = {
    "missing file": lambda path, header, rows: path.unlink(),
    "empty file": lambda path, header, rows: path.write_text(""),
    "no text": lambda path, header, rows: path.write_bytes(b"\xff\xfe"),
    "header alone": lambda path, header, rows: rewritten(path, header),
    "word for a number": lambda path, header, rows: rewritten(
        path, header, [*rows[0][:-2], "word", rows[0][-1]], *rows[1:]
    ),
    "NaN": lambda path, header, rows: rewritten(
        path, header, [*rows[0][:-2], "nan", rows[0][-1]], *rows[1:]
    ),
    "no number": lambda path, header, rows: rewritten(
        path, header, [*rows[0][:-2], "", rows[0][-1]], *rows[1:]
    ),
    "missing row": lambda path, header, rows: rewritten(path, header, *rows[1:]),
    "row of another name": lambda path, header, rows: rewritten(
        path, header, ["other", *rows[0][1:]], *rows[1:]
    ),
    "row twice": lambda path, header, rows: rewritten(path, header, rows[0], *rows),
    "short row": lambda path, header, rows: rewritten(path, header, rows[0][:2], *rows[1:]),
    "long row": lambda path, header, rows: rewritten(path, header, [*rows[0], "1"], *rows[1:]),
}


def rewritten(path: Path, *rows: list[str]) -> None:
    path.write_text("".join(f"{','.join(row)}\n" for row in rows))


def refused(house, path: Path) -> None:
    with pytest.raises(UserError, match=rf"^{path}: .*restore") as error:
        paper.load(house.suite.root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("table", PAPER, ids=lambda path: path.stem)
def test_a_damaged_table_of_the_paper_is_refused(house, table, damage):
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    path = house.suite.root / "results" / "paper" / table.name
    damage(path, header, rows)
    refused(house, path)


@pytest.mark.parametrize("table", PAPER, ids=lambda path: path.stem)
def test_a_table_of_the_paper_without_one_of_its_columns_is_refused(house, table):
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    path = house.suite.root / "results" / "paper" / table.name
    for i in range(len(rows[0])):
        rewritten(path, *(row[:i] + row[i + 1 :] for row in rows))
        refused(house, path)


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("appendix_cifar10_resnet20", ",16,", ",16.5,"),
        ("table6_deepspeech_architecture", "1814528", "1814528.5"),
    ],
)
def test_a_count_that_is_no_whole_number_is_refused(house, table, old, new):
    path = house.suite.root / "results" / "paper" / f"{table}.csv"
    path.write_text(path.read_text().replace(old, new))
    refused(house, path)


@pytest.mark.parametrize("use", ["written", "check", "write"])
def test_nothing_is_made_of_a_damaged_table(house, use):
    (house.suite.root / "results" / "paper" / "table9_deepspeech2.csv").unlink()
    with pytest.raises(UserError, match=r"table9_deepspeech2\.csv: missing; restore it"):
        getattr(house, use)()
    assert not (house.suite.root / "results" / "tables").exists()


def test_two_schedules_under_one_name_are_refused(house):
    house.run("dsd", 0, 29.0)
    path = house.suite.recipes["images-resnet18"]
    path.write_text(path.read_text().replace("sparsity: 0.3", "sparsity: 0.5"))
    house.run("random", 1, 29.0)
    house.run("dsd", 2, 29.0)
    with pytest.raises(UserError, match=r"dsd\.seed2\.json: the schedule of dense/sparse differs"):
        house.results  # noqa: B018
