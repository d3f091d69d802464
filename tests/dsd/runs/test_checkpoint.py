"""Checkpoints: whole or refused, never half; one process a folder; every generator saved."""

import json
import os
import random
import subprocess
import sys

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
