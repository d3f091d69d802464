"""In a training step nothing waits for the GPU but the look at the loss every CHECK_EVERY steps."""

import ast
from pathlib import Path

import pytest
import torch

from dsd.training.prefetch import on_device

ROOT = Path(__file__).parents[3]
# Methods that bring values to the CPU, or whose result's shape depends on them.
WAIT = {"item", "tolist", "cpu", "numpy", "nonzero", "masked_select", "unique", "synchronize"}
WAIT |= {"new_tensor"}  # copies from memory that is not pinned
CONVERSIONS = {"float", "int", "bool"}  # of a tensor; the networks convert plain sizes
IN_A_STEP = {
    "dsd/training/phase.py": ("train_epoch", "clip"),
    "dsd/training/state.py": ("add_sums",),
    "dsd/training/prefetch.py": (),
    "dsd/training/batch_norm.py": (),
    "dsd/pruning/sparsifier.py": ("_after_step", "_apply", "_by_weight"),
    "dsd/pruning/bits.py": ("apply", "_parts", "_pack", "pack", "_table"),
    "dsd/pruning/momentum.py": ("copies",),
    "dsd/pruning/optimizers.py": (),
    "recipes/images.py": ("loss", "_floats"),
    "recipes/captioning.py": ("loss",),
    "recipes/speech.py": ("loss",),
    "data/colours.py": ("__call__", "_drawn"),
    **{f"models/{path.name}": () for path in (ROOT / "models").glob("*.py")},
}
MAY_WAIT = {
    "models/beam_search.py": "captions, not training",
    "models/caffe.py": "reads files",
    "models/weights.py": "reads files",
    "models/neuraltalk_checkpoint.py": "reads files",
    "models/ctc.py:_read": "labels and lengths are on the CPU",
    "models/ctc.py:_ints": "lengths are on the CPU",
    "models/ctc.py:_costs": "with deterministic algorithms alone, as the record says",
    "models/deepspeech.py:forward": "batch sizes are on the CPU",
    "models/deepspeech2.py:forward": "batch sizes are on the CPU",
    "models/neuraltalk.py:forward": "batch sizes are on the CPU",
}


@pytest.mark.parametrize("file", IN_A_STEP)
def test_no_step_asks_for_a_value(file):
    if file in MAY_WAIT:
        return
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or f"{file}:{function.name}" in MAY_WAIT:
            continue
        if IN_A_STEP[file] and function.name not in IN_A_STEP[file]:
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                words = f"{file}:{call.lineno}: .{call.func.attr}() waits for the GPU"
                assert call.func.attr not in WAIT, words
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                words = f"{file}:{call.lineno}: {call.func.id}() waits for the GPU"
                assert call.func.id not in CONVERSIONS or not file.startswith("dsd/"), words


def test_the_list_is_of_what_is_there():
    for place in MAY_WAIT:
        file, _, function = place.partition(":")
        assert not function or f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")
    for file, functions in IN_A_STEP.items():
        for function in functions:
            assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), (file, function)


def test_batches_come_in_their_order_and_in_the_layout_asked_for():
    batches = [
        {"images": torch.rand(2, 3, 4, 4), "labels": torch.tensor([i, i]), "names": ["a", "b"]}
        for i in range(5)
    ]
    for channels_last in (False, True):
        found = list(on_device(iter(batches), torch.device("cpu"), channels_last))
        assert [batch["labels"].tolist() for batch in found] == [[i, i] for i in range(5)]
        for batch, given in zip(found, batches, strict=True):
            assert torch.equal(batch["images"], given["images"])
            layout = torch.channels_last if channels_last else torch.contiguous_format
            assert batch["images"].is_contiguous(memory_format=layout)
            assert batch["names"] == ["a", "b"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_every_batch_whole():
    batches = [{"x": torch.full((1000, 1000), float(i))} for i in range(10)]
    sums = [batch["x"].sum() for batch in on_device(iter(batches), torch.device("cuda"))]
    assert torch.stack(sums).tolist() == [i * 1e6 for i in range(10)]
