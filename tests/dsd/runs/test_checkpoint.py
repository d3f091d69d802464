"""Checkpoints: whole or refused, never half; one process a folder; every generator saved."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dsd import Sparsifier
from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.runs.files import lock, sha256
from dsd.training.random_state import rng_state, seed_all, set_rng_state


def test_a_folder_without_a_checkpoint_gives_none(tmp_path):
    assert checkpoint.load(tmp_path) is None


def test_the_newest_state_comes_back_and_the_older_file_is_gone(tmp_path):
    for step in range(3):
        checkpoint.save(tmp_path, {"step": step, "weights": torch.full((3,), float(step))})
        state = checkpoint.load(tmp_path)
        assert state is not None
        assert state["step"] == step
        assert state["weights"].tolist() == [step] * 3
        assert len(list(tmp_path.glob("checkpoint-*.pt"))) == 1


def test_a_changed_byte_is_noticed(tmp_path):
    checkpoint.save(tmp_path, {"weights": torch.zeros(1000)})
    (file,) = tmp_path.glob("checkpoint-*.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=f"{file.name}: damaged"):
        checkpoint.load(tmp_path)


def test_a_missing_file_and_a_damaged_pointer_are_named(tmp_path):
    checkpoint.save(tmp_path, {"a": 1})
    (file,) = tmp_path.glob("checkpoint-*.pt")
    file.unlink()
    with pytest.raises(UserError, match="missing"):
        checkpoint.load(tmp_path)
    (tmp_path / checkpoint.POINTER).write_text("{")
    with pytest.raises(UserError, match=r"checkpoint\.json: damaged"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("moment", ["state", "pointer"])
def test_dying_while_writing_leaves_the_last_checkpoint(tmp_path, monkeypatch, moment):
    checkpoint.save(tmp_path, {"step": 1})

    def die(*words: object) -> None:
        raise KeyboardInterrupt

    if moment == "state":
        monkeypatch.setattr(torch, "save", lambda state, file: (file.write(b"ha"), die()))
    else:
        monkeypatch.setattr(checkpoint, "write_atomically", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, {"step": 2})
    monkeypatch.undo()
    assert checkpoint.load(tmp_path) == {"step": 1}
    checkpoint.save(tmp_path, {"step": 3})
    assert checkpoint.load(tmp_path) == {"step": 3}


def test_a_state_that_would_run_code_is_not_loaded(tmp_path):
    checkpoint.save(tmp_path, {"a": 1})
    file = tmp_path / "checkpoint-a.pt"
    torch.save({"a": os.system}, file)
    pointer = {"file": file.name, "sha256": sha256(file)}
    (tmp_path / checkpoint.POINTER).write_text(json.dumps(pointer))
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_every_generator_goes_on_where_it_was(tmp_path):
    def draw() -> list[float]:
        return [torch.rand(()).item(), random.random(), random.gauss(0, 1), np.random.rand()]

    seed_all("a", 1)
    draw()
    checkpoint.save(tmp_path, rng_state())
    expected = draw()
    seed_all("b")
    assert draw() != expected
    state = checkpoint.load(tmp_path)
    assert state is not None
    set_rng_state(state)
    assert draw() == expected


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    program = (
        "import sys, pathlib\nfrom dsd.runs.files import lock\n"
        "with lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n    sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    in_use = pytest.raises(UserError, match=f"in use by process {first.pid}")
    with in_use, lock(tmp_path):
        pass
    first.kill()
    first.wait()
    with lock(tmp_path):
        pass


def foreign(folder: Path, content: object) -> None:
    """Makes a file the folder's checkpoint, whatever it holds."""
    file = folder / "checkpoint-a.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    pointer = {"file": file.name, "sha256": sha256(file)}
    (folder / checkpoint.POINTER).write_text(json.dumps(pointer))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"no checkpoint", b"\x80\x02}.", [1, 2], torch.ones(3), 7, None],
    ids=repr,
)
def test_a_foreign_file_is_one_line(tmp_path, content):
    foreign(tmp_path, content)
    for load in (checkpoint.load, checkpoint.load_named):
        with pytest.raises(UserError, match=r"checkpoint-a\.pt|has no settings") as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", [{}, {"settings": 1}, {"settings": {}, "model": [1]}])
def test_what_a_phase_lacks_is_named(tmp_path, state):
    foreign(tmp_path, state)
    with pytest.raises(UserError, match=r"its checkpoint has no (settings|model)"):
        checkpoint.load_named(tmp_path)


@pytest.mark.parametrize(
    "pointer",
    [
        "",
        "[]",
        "7",
        '"a"',
        '{"file": "../../precious", "sha256": "0"}',
        '{"file": "/etc/passwd", "sha256": "0"}',
        '{"file": "checkpoint-a.pt"}',
        '{"file": "checkpoint-a.pt", "sha256": 7}',
        '{"file": ["checkpoint-a.pt"], "sha256": "0"}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_a_pointer_that_leads_elsewhere_is_refused_and_nothing_removed(tmp_path, pointer):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "precious").write_text("mine")
    (folder / checkpoint.POINTER).write_text(pointer)
    for use in (checkpoint.load, lambda folder: checkpoint.save(folder, {})):
        with pytest.raises(UserError, match=r"checkpoint\.json: damaged"):
            use(folder)
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_format_is_checked(tmp_path):
    checkpoint.save(tmp_path, {"step": 1})
    path = tmp_path / checkpoint.POINTER
    pointer = json.loads(path.read_text())
    assert pointer.pop("format") == checkpoint.FORMAT
    path.write_text(json.dumps(pointer))  # as the version before wrote it
    assert checkpoint.load(tmp_path) == {"step": 1}
    path.write_text(json.dumps({**pointer, "format": 99}))
    with pytest.raises(UserError, match="has format 99; update this program"):
        checkpoint.load(tmp_path)


def test_masks_are_read_as_bool_whether_saved_as_bits_or_as_earlier_versions_did(tmp_path):
    mask = torch.rand(5, 7) < 0.5
    layer = torch.nn.Linear(7, 5)
    s = Sparsifier(layer, torch.optim.SGD(layer.parameters(), 0.1), 0.5)
    s.load_state_dict({"masks": {"weight": mask}})
    for saved in (s.state_dict(), {"masks": {"weight": mask}}):
        checkpoint.save(tmp_path, {"sparsifier": saved})
        state = checkpoint.load(tmp_path)
        assert state is not None
        assert torch.equal(state["sparsifier"]["masks"]["weight"], mask)
        s.load_state_dict(state["sparsifier"])
