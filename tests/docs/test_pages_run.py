"""The commands of README and docs are run for real, page after page, in a copy of the checkout.

Each command of a block is either run or stands in NOT_RUN with what it would need.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Command, blocks, commands

NOT_RUN = {  # a pattern of the whole command, or of `page: command` -> what it needs
    r"make test": "these are the tests",
    r".*/path.*": "a corpus",
    r"dsd verify an4 an4|AN4=an4 dsd run .*": "the corpus AN4",
    r"MANIFEST=speech dsd run .*": "recordings",
    r"dsd (caption|transcribe) .* --run runs/.*": "the weights of a run on the corpus",
    r"dsd export results/runs/.*": "the weights of a run on the corpus",
    r"torchrun .*": "ImageNet, and GPUs; two processes: tests/dsd/training/test_processes.py",
    r"dsd sweep flickr8k-neuraltalk --arm all --seed 0-2 --jobs 4": "Flickr-8K",
    r"dsd sweep .* --slurm .*": "Slurm: tests/dsd/sweep/test_slurm.py has it",
    r"docs/your-images.md: dsd report --records runs/records": "records of the run above",
    r"dsd status --live": "somebody to end it; without --live: test_local.py",
}
PYTHON = ("docs/python.md", "docs/analysis.md")  # pages whose Python needs no loop of the reader's


def needs(command: Command) -> str | None:
    """Returns what a command needs that is not here, None where it is run."""
    return next((need for text, need in NOT_RUN.items() if _is(text, command)), None)


def _is(text: str, command: Command) -> bool:
    return any(re.fullmatch(text, of) for of in (command.text, f"{command.page}: {command.text}"))


ALL = [command for page in PAGES for command in commands(page)]
RUN = [page for page in PAGES if any(not needs(command) for command in commands(page))]


def test_what_is_not_run_is_on_a_page():
    for text in NOT_RUN:
        assert any(_is(text, command) for command in ALL), text
    assert len([command for command in ALL if not needs(command)]) > 20


def run(checkout: Path, command: str) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    paths = f"{checkout / '.venv' / 'bin'}:{outside['PATH']}"
    here = {"PATH": paths, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=outside | here,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_commands_run_in_their_order(page, checkout):
    for command in commands(page):
        if not needs(command):
            done = run(checkout, command.text)
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON)
def test_a_pages_python_runs_in_its_order(name, checkout):
    found = [block for block in blocks(ROOT / name) if block.language == "python"]
    assert found
    script = checkout / "page.py"
    script.write_text("\n".join("\n".join(block.lines) for block in found))
    done = run(checkout, "python page.py")
    assert done.returncode == 0, f"{name}\n{done.stderr[-3000:]}"
