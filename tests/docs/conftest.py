"""A copy of the checkout, in which the documentation is tried."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

TEXTS = {  # files of the reader's own
    "captions.txt": "a dog runs on the grass\n",
    "first.txt": "a brown dog runs over the grass\n",
    "second.txt": "a dog , running\n",
    "heard.txt": "turn the red light on\n",
    "said.txt": "turn the right light on\n",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree, with this Python as its .venv, which `make setup` has made."""
    folder = tmp_path_factory.mktemp("pages") / "dsd"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".venv" / ".stamp").touch()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    return folder
