"""Disks of many sizes that fill up during a run: one line, the old state stays, and it goes on."""

import resource
import shutil
import signal
import subprocess
from pathlib import Path

from tests.faults.results import results, same_as
from tests.faults.tally import ROOT, Tally, refusal, run

WORDS = ("run", "points-mlp", "--scale", "mini", "--device", "cpu", "--checkpoint-every", "0")
LARGEST = 120_000  # bytes: about what the run's largest file takes


def disks(folder: Path, count: int) -> list[Tally]:
    """Tries half of the sizes as a limit on a file's size, half as a small file system."""
    suite = Path(shutil.copytree(ROOT / "tests" / "own_suite", folder / "suite"))
    said = run([*WORDS, "--runs", str(folder / "whole")], suite)
    assert said.code == 0, said.out
    expected = results(folder / "whole")
    limits, systems = Tally("full disk, by file size"), Tally("full disk, tmpfs")
    for i in range((count + 1) // 2):
        _limited(limits, suite, folder / f"limit{i}", i * LARGEST // max(1, count // 2), expected)
    for i in range(count // 2):
        size = 16 + i * 600 // max(1, count // 2)  # kB
        if not _on_tmpfs(systems, suite, folder / f"disk{i}", size, expected):
            systems.kind = "full disk, tmpfs (none could be mounted)"
            break
    return [limits, systems]


def _limited(tally: Tally, suite: Path, runs: Path, size: int, expected: dict) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    words = [*WORDS, "--runs", str(runs)]
    said = run(words, suite, limit)
    _verdict(tally, f"{size} bytes", said, run(words, suite), expected, runs)


def _on_tmpfs(tally: Tally, suite: Path, runs: Path, size: int, expected: dict) -> bool:
    runs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(runs)]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            return False
    except OSError:
        return False
    words = [*WORDS, "--runs", str(runs)]
    try:
        said = run(words, suite)
        subprocess.run(["mount", "-o", "remount,size=100m", str(runs)], check=True)
        _verdict(tally, f"{size} kB", said, run(words, suite), expected, runs)
    finally:
        subprocess.run(["umount", "-l", str(runs)], check=True)
    return True


def _verdict(tally: Tally, what: str, said, again, expected: dict, runs: Path) -> None:  # type: ignore[no-untyped-def]
    if said.code == 0:
        tally.add("right" if same_as(expected, runs) else "silent", what)
    elif not (refusal(said) and "cannot be written" in said.out):
        tally.add("traceback", f"{what}: {said.out[-300:]}")
    else:
        tally.add("refused" if again.code == 0 and same_as(expected, runs) else "lost", what)
