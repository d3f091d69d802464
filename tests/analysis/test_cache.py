"""Kept results: the same as computed ones, and never those of a damaged file."""

import json

import pytest

from analysis import cache, statistics
from analysis.cache import FILE, kept, remember
from analysis.significance import comparisons

VALUES = [2.0, 2.5, 3.0]


@pytest.fixture
def file(tmp_path):
    return tmp_path / FILE


def count(root, value=(1.0, 2.0)) -> int:
    """Returns how often a result was computed, asked for twice."""
    computed = []
    with kept(root):
        for _ in range(2):
            assert remember("key", lambda: computed.append(1) or value) == value
    return len(computed)


def test_a_result_is_computed_once_and_without_a_file_each_time(tmp_path, file):
    assert [count(tmp_path), count(tmp_path)] == [1, 0]
    assert file.exists()
    computed = []
    for _ in range(2):
        remember("key", lambda: computed.append(1))
    assert len(computed) == 2


@pytest.mark.parametrize("value", [None, 0.25, (0.5, 1.5)])
def test_every_shape_comes_back_as_it_was(tmp_path, value):
    assert [count(tmp_path, value), count(tmp_path, value)] == [1, 0]


DAMAGE = {
    "empty": lambda text: "",
    "no text": lambda text: b"\xff\xfe",
    "cut": lambda text: text[:-5],
    "a digit": lambda text: text.replace("1.0", "9.0"),
    "no checksum": lambda text: text.partition("\n")[2],
    "another shape": lambda text: sealed({"a": "b"}),
    "three numbers": lambda text: sealed({"a": [1.0, 2.0, 3.0]}),
    "NaN": lambda text: sealed({"a": float("nan")}),
    "a list": lambda text: sealed([1.0]),
}


def sealed(content: object) -> str:
    text = json.dumps(content)
    return f"{cache.hashlib.sha256(text.encode()).hexdigest()}\n{text}"


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_computed_anew(tmp_path, file, damage):
    count(tmp_path)
    found = damage(file.read_text())
    file.write_bytes(found if isinstance(found, bytes) else found.encode())
    assert cache._read(file) == {}
    assert [count(tmp_path), count(tmp_path)] == [1, 0]


def test_a_file_that_cannot_be_written_costs_time_alone(tmp_path, file):
    file.mkdir(parents=True)
    assert [count(tmp_path), count(tmp_path)] == [1, 1]


def test_another_version_of_a_method_computes_anew(tmp_path, monkeypatch):
    count(tmp_path)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    assert count(tmp_path) == 1


def test_statistics_are_kept_by_their_numbers(tmp_path):
    interval = statistics.t_interval(VALUES)
    p = statistics.unpaired_p(VALUES, [1.0, 2.0], equal_var=False)
    for _ in range(2):
        with kept(tmp_path):
            assert statistics.t_interval(VALUES) == interval
            assert statistics.t_interval([2.0, 2.5, 3.5]) != interval
            assert statistics.bootstrap_interval(VALUES) != interval
            assert statistics.unpaired_p(VALUES, [1.0, 2.0], equal_var=False) == p
            assert statistics.unpaired_p(VALUES, [1.0, 2.0], equal_var=True) != p


def test_comparisons_with_and_without_the_file_are_the_same_and_new_records_count(house):
    house.three_seeds()
    root = house.suite.root

    def again() -> list:
        with kept(root):
            return comparisons(house.group)

    before = comparisons(house.group)
    assert repr(again()) == repr(again()) == repr(before)
    house.run("dsd", 0, 20.0)
    after = again()
    assert after[0].interval != before[0].interval
    assert repr(after) == repr(comparisons(house.group))
