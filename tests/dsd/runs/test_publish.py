"""`dsd publish`: what goes from runs/records/ to results/runs/, and what may not."""

import json
import shutil

import pytest

from dsd.errors import UserError
from dsd.runs import record, sealed
from dsd.runs.publish import publish
from tests.conftest import ROOT

NAME = "an4-deepspeech.width256.dsd.seed0"


@pytest.fixture
def mine(tmp_path):
    """A record of results/runs, as a run would have left it in runs/records."""
    source = ROOT / "results" / "runs" / f"{NAME}.json"
    folder = tmp_path / "runs" / "records"
    for file in [source, *record.phase_files(source, record.read(source))]:
        copy = folder / file.relative_to(source.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return folder / source.name


def changed(path, **fields):
    content = json.loads(path.read_text())
    sealed.write(path, {**content, **fields})


def test_a_record_and_all_its_phases_are_copied_once(mine, tmp_path):
    into = tmp_path / "results"
    target = publish(mine, into)
    assert target == into / mine.name
    assert record.read(target) == record.read(mine)
    assert record.read_examples(target).keys() == record.read_examples(mine).keys()
    assert publish(mine, into) is None


def test_another_run_of_the_same_name_is_not_written_over(mine, tmp_path):
    target = publish(mine, tmp_path / "results")
    before = target.read_bytes()
    changed(mine, title="another")
    with pytest.raises(UserError, match="is another run of the same name; move it away"):
        publish(mine, tmp_path / "results")
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("revision", "earlier"), [("abc+changes", "abc"), ("unknown", "abc"), ("abc", "abc+changes")]
)
def test_code_that_no_revision_holds_is_refused(mine, tmp_path, revision, earlier):
    link = record.read(mine).links[0]
    file = mine.parent / f"{link.file}.json"
    content = json.loads(file.read_text())
    made = content["record"]["provenance"]
    sessions = [{**made, "revision": earlier}]
    content["record"]["provenance"] = {**made, "revision": revision, "earlier_sessions": sessions}
    sealed.write(file, content)
    links = json.loads(mine.read_text())["phases"]
    seal = json.loads(file.read_text())["sha256"]
    changed(mine, phases=[{"file": link.file, "sha256": seal}, *links[1:]])
    with pytest.raises(UserError, match="by code that no revision holds"):
        publish(mine, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_record_under_another_name_is_refused(mine, tmp_path):
    other = mine.with_name("an4-deepspeech.width256.dsd.seed7.json")
    mine.rename(other)
    with pytest.raises(UserError, match=rf"is the record {NAME}\.json under another name"):
        publish(other, tmp_path / "results")


def test_a_miniature_and_a_damaged_record_are_refused(mine, tmp_path):
    arrays = mine.parent / f"{record.read(mine).links[-1].file}.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged"):
        publish(mine, tmp_path / "results")
    shutil.copy(ROOT / "results" / "runs" / arrays.relative_to(mine.parent), arrays)
    changed(mine, scale="mini")
    with pytest.raises(UserError, match="is of a miniature"):
        publish(mine, tmp_path / "results")
    assert not (tmp_path / "results").exists()
