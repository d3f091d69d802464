"""Whole files: a full disk is one line and keeps the old file; links are never followed."""

import subprocess
import sys

import pytest

from dsd.runs import checkpoint
from dsd.runs.files import lock, whole_file, write_atomically

FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.runs.files import write_atomically
folder, size = Path(sys.argv[1]), int(sys.argv[2])
checkpoint.save(folder, {"step": 1})
write_atomically(folder / "small.json", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # as a disk that is full after so many
for write in (
    lambda: checkpoint.save(folder, {"weights": torch.zeros(100_000)}),
    lambda: write_atomically(folder / "small.json", b"n" * 100_000),
):
    try:
        write()
    except UserError as error:
        print(error)
"""


@pytest.mark.parametrize("size", [0, 1, 500, 4096, 65_536])
def test_a_full_disk_is_one_line_and_the_old_files_stay(tmp_path, size):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(size)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("checkpoint-b.pt", "small.json"), strict=True):
        assert line.startswith(f"{tmp_path / name}: cannot be written (File too large; ")
        assert "MB are free" in line
    assert checkpoint.load(tmp_path) == {"step": 1}
    assert (tmp_path / "small.json").read_bytes() == b"old"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"checkpoint.json", "checkpoint-a.pt", "small.json"}


def test_an_error_while_writing_leaves_nothing(tmp_path):
    write_atomically(tmp_path / "file", b"old")
    file = whole_file(tmp_path / "file")
    file.__enter__().write(b"half")
    assert not file.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["file", ".file.part"])
def test_a_link_is_replaced_and_what_it_points_at_stays(tmp_path, name):
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / name).symlink_to(target)
    write_atomically(tmp_path / "file", b"new")
    assert target.read_text() == "mine"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize("slot", checkpoint.SLOTS)
def test_a_run_folder_with_a_link_overwrites_nothing_outside(tmp_path, slot):
    folder, target = tmp_path / "run", tmp_path / "precious"
    folder.mkdir()
    target.write_text("mine")
    (folder / slot).symlink_to(target)
    for step in range(3):
        checkpoint.save(folder, {"step": step})
    assert target.read_text() == "mine"
    assert checkpoint.load(folder) == {"step": 2}


def test_a_lock_that_is_a_link_empties_nothing(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"), lock(tmp_path / "run"):
        pass
    assert target.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "file", b"")
