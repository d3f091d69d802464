"""Records: each phase once, checksums over all that a result rests on, damage refused by name."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dsd.errors import UserError
from dsd.runs import phase_file, record, sealed
from dsd.training.algorithm import train_arm
from tests.dsd.running import make_run, undated

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A suite with the records of three arms, two of which share a masked phase."""
    suite = tmp_path_factory.mktemp("trained") / "suite"
    run = make_run(Path(shutil.copytree(ROOT / "tests" / "own_suite", suite)))
    for arm in ("dsd", "sparse", "baseline"):
        train_arm(run, arm)
    return suite


@pytest.fixture
def records(trained, tmp_path) -> Path:
    """A copy of the folder of records."""
    return Path(shutil.copytree(trained / "records", tmp_path / "records"))


def of(records: Path, arm: str = "dsd") -> Path:
    return records / f"points-mlp.mini.{arm}.seed0.json"


def test_each_phase_is_stored_once(records):
    files = sorted(records.glob("points-mlp.mini/**/*.json"))
    assert len(files) == 4  # dense, sparse, redense, redense-masked
    assert sorted(records.glob("points-mlp.mini/**/*.npz")) == [
        file.with_suffix(".npz") for file in files
    ]
    links = {arm: record.read(of(records, arm)).links for arm in ("dsd", "sparse", "baseline")}
    assert links["dsd"][:2] == links["sparse"][:2]
    assert links["baseline"] == links["dsd"][:1]
    assert {link.file for found in links.values() for link in found} == {
        str(file.relative_to(records).with_suffix("")) for file in files
    }


def test_a_second_run_of_a_phase_leaves_the_first_to_its_records(own_suite, tmp_path):
    first = train_arm(make_run(own_suite), "baseline")
    before = record.read(first)
    (own_suite / "runs").rename(tmp_path / "away")
    run = make_run(own_suite)
    run.provenance["date"] = "2000-01-01"
    after = record.read(train_arm(run, "dsd"))
    assert record.read(first) == before
    assert after.links[0] != before.links[0]
    assert undated(first)["phases"][0] == undated(of(own_suite / "records"))["phases"][0]


def test_histograms_and_examples_come_back(records):
    found = record.read(of(records))
    stages = record.read_stages(of(records))
    assert [name for name, _ in stages] == [
        *("dense", "pruned", "sparse-trained", "zeros restored", "re-dense"),
    ]
    for name, layers in stages:
        assert [*layers] == [*found.phases[0].layers]
        for layer, one in layers.items():
            parts = one["counts"].sum(), one["below"], one["above"], one["zeros"]
            assert sum(parts) == found.phases[0].layers[layer]["weights"]
            if name == "sparse-trained":
                kept = found.phases[1].layers[layer]
                assert one["zeros"] >= kept["weights"] - kept["kept"] > 0
    examples = record.read_examples(of(records))
    assert {key.rpartition("/")[0] for key in examples} == {
        "dense/test",
        "dense/sparse/test",
        "dense/sparse/redense/test",
    }


@pytest.mark.parametrize("kind", ["index", "phase", "arrays"])
def test_a_flipped_bit_is_refused_by_name_or_changes_nothing(records, kind):
    """Changing nothing: in the white space, or in the last digit of a number's text."""
    path = of(records)
    phase = records / f"{record.read(path).links[1].file}.json"
    file = {"index": path, "phase": phase, "arrays": phase.with_suffix(".npz")}[kind]
    good, expected = file.read_bytes(), (record.read(path), record.read_stages(path))
    rng = random.Random(kind)
    refused = []
    for _ in range(150):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        try:
            found = record.read(path), record.read_stages(path)
        except UserError as fault:
            refused.append(str(fault))
        else:
            assert str(found) == str(expected)
    assert len(refused) > 140
    assert all(str(records) in words and "\n" not in words for words in refused)


@pytest.mark.parametrize("kind", ["index", "phase", "arrays"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"[]",
        lambda data: b"{}",
        lambda data: b"null",
        lambda data: b"\xff\xfe\x00",
        lambda data: b"[" * 100_000,
        None,
    ],
    ids=["empty", "cut", "list", "object", "null", "binary", "deep", "gone"],
)
def test_files_that_are_none_are_refused_by_name(records, kind, damage: Callable | None):
    path = of(records)
    phase = records / f"{record.read(path).links[0].file}.json"
    file = {"index": path, "phase": phase, "arrays": phase.with_suffix(".npz")}[kind]
    if damage:
        file.write_bytes(damage(file.read_bytes()))
    else:
        file.unlink()
    with pytest.raises(UserError, match=file.name):
        record.read_examples(path)


def test_what_is_sealed_but_no_record_is_refused(records):
    path = of(records)
    good = json.loads(path.read_text())

    def refused(match: str, **change: object) -> None:
        sealed.write(path, {**good, **change})
        with pytest.raises(UserError, match=match) as fault:
            record.read(path)
        assert path.name in str(fault.value)

    refused("record version 3, this program reads 2; update it", version=3)
    refused("record version 1, .* dsd convert", version=1)
    refused("not a run record", schema_name="x")
    refused("phases", phases=[])
    refused("seed", seed="many")
    link = good["phases"][0]
    for outside in ("../../etc/passwd", "/etc/passwd", ""):
        refused("outside its folder", phases=[{**link, "file": outside}])
    refused("is another one", phases=[{**link, "file": good["phases"][1]["file"]}])
    path.write_text(json.dumps({key: good[key] for key in good if key != "sha256"}))
    with pytest.raises(UserError, match="no checksum"):
        record.read(path)


def test_running_again_repairs_a_damaged_record(own_suite):
    run = make_run(own_suite)
    path = train_arm(run, "baseline")
    good = record.read(path)
    stored = path.parent / f"{good.links[0].file}.npz"
    stored.write_bytes(b"nothing")
    path.write_text("{}")
    assert record.read(train_arm(run, "baseline")) == good
    assert record.read_examples(path)


def test_a_damaged_finished_phase_is_refused_by_the_run(own_suite):
    run = make_run(own_suite)
    train_arm(run, "baseline")
    (place,) = run.path("baseline")
    good = place.file.read_text()
    loss = str(phase_file.read(place.file).record.log[0]["train"]["loss"])
    assert good.count(loss) == 1
    place.file.write_text(good.replace(loss, loss[:3] + str((int(loss[3]) + 1) % 10) + loss[4:]))
    with pytest.raises(UserError, match=r"phase\.json: damaged"):
        train_arm(run, "baseline")


def test_texts_of_any_alphabet_and_no_texts_at_all_come_back(tmp_path, own_suite):
    run = make_run(own_suite)
    train_arm(run, "baseline")
    file = phase_file.read(run.path("baseline")[0].file)
    arrays = {
        "test/caption": np.array(["", "a dog", "größer 犬 \U0001f415"]),
        "test/nothing": np.array([], dtype="<U1"),
        "test/loss": np.array([0.1, np.float32(1e-30)], dtype=np.float32),
    }
    phase_file.write(tmp_path / "p.json", file, arrays)
    back = phase_file.read_arrays(tmp_path / "p.json", phase_file.read(tmp_path / "p.json"))
    assert back.keys() == arrays.keys()
    for name, values in arrays.items():
        assert np.array_equal(back[name], values)
        assert back[name].dtype.kind == values.dtype.kind
    once = (tmp_path / "p.npz").read_bytes()
    phase_file.write(tmp_path / "p.json", file, arrays)
    assert (tmp_path / "p.npz").read_bytes() == once


@pytest.mark.parametrize("scale", ["full", "short"])
def test_labels_of_file_names(scale):
    assert record.label("a-b", scale, ()) == {"full": "a-b", "short": "a-b.short"}[scale]
    assert record.label("a-b", "full", ("x=/c d", "w=1")) == "a-b+w=1+x=_c_d"
    many = [record.label("a-b", scale, (*["x=1"] * 99, last)) for last in ("y=1", "y=2")]
    assert many[0] != many[1]
    assert max(map(len, many)) < 200
