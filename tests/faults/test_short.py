"""A short form of `make faults`: every kind of fault, a few tries of each, and no bad outcome."""

import subprocess
import sys

import pytest

from tests.faults.hostile import CASES, hostile
from tests.faults.overrides import overrides
from tests.faults.tally import BAD, GOOD, ROOT, Tally, judge, table


def test_overrides():
    (tally,) = overrides(250, seed=7)
    assert tally.outcomes.total() == 250
    assert not tally.details, "\n".join(tally.details)
    assert all(tally.outcomes[name] for name in GOOD)  # some are taken, most are refused


def test_hostile_files(tmp_path):
    tallies = hostile(tmp_path / "hostile")
    assert sum(tally.outcomes.total() for tally in tallies) == len(CASES)
    assert not [line for tally in tallies for line in tally.details]


def test_a_bad_outcome_is_counted_as_one():
    tally = Tally("x")
    judge(tally, "another value", lambda: 1, lambda found: found == 2)
    judge(tally, "a traceback", lambda: 1 / 0, bool)
    assert [tally.outcomes[name] for name in BAD] == [1, 1, 0]
    assert len(tally.details) == 2
    assert "| x | 2 | 0 | 0 | 1 | 1 | 0 |" in table([tally])


@pytest.mark.slow
def test_all_kinds_with_kills_disks_and_flips():
    words = ["--short", "--kills", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
