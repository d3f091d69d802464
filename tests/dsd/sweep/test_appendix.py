"""`make appendix-a`: groups of seeds one after another, whatever becomes of one."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GROUPS = ["0-3", "4-7", "8-11", "12-15"]


@pytest.mark.parametrize(
    ("codes", "tried", "code"),
    [
        ([0, 0, 0, 0], 4, 0),
        ([1, 0, 1, 0], 4, 1),  # a job failed: the other seeds are trained all the same
        ([0, 75], 2, 0),  # stopped, by the clock or by Ctrl-C
        ([2], 1, 2),
    ],
)
def test_a_group_that_fails_does_not_keep_the_others(codes, tried, code, tmp_path):
    fake = tmp_path / "dsd"
    (tmp_path / "codes").write_text("\n".join(map(str, codes)))
    fake.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n'
        f'exit $(sed -n "$(wc -l < {tmp_path}/called)p" {tmp_path}/codes)\n'
    )
    fake.chmod(0o755)
    shown = subprocess.run(
        ["make", "-n", "appendix-a", "MINUTES=60", "JOBS=8", "ARGS=--compile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    script = shown.stdout[shown.stdout.index("start=") :].replace(".venv/bin/dsd", str(fake))
    assert subprocess.run(["sh", "-c", script]).returncode == code
    called = (tmp_path / "called").read_text().splitlines()
    assert [line.split("--seed ")[1].split()[0] for line in called] == GROUPS[:tried]
    assert all(line.endswith("--fast --time-limit 60 --jobs 8 --compile") for line in called)
