"""Variables that would change results are refused; those that shift rounding are recorded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from dsd.errors import UserError
from dsd.runs import environment
from dsd.runs.provenance import provenance
from dsd.training.device import Options, make_accelerator, set_numerics


@pytest.mark.parametrize(
    "variable",
    [
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS=8",
        "ACCELERATE_MIXED_PRECISION=fp16",
        "ACCELERATE_MIXED_PRECISION=bf16",
        "ACCELERATE_DYNAMO_BACKEND=INDUCTOR",
        "ACCELERATE_DYNAMO_MODE=max-autotune",
        "ACCELERATE_USE_FSDP=true",
        "ACCELERATE_USE_DEEPSPEED=1",
        "ACCELERATE_USE_MEGATRON_LM=true",
        "ACCELERATE_USE_PARALLELISM_CONFIG=true",
        "ACCELERATE_DOWNCAST_BF16=yes",
        "ACCELERATE_FP8_BACKEND=TE",
        "ACCELERATE_SOMETHING_NEW=1",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1",
        "NVIDIA_TF32_OVERRIDE=1",
        "ONEDNN_DEFAULT_FPMATH_MODE=BF16",
        "DNNL_DEFAULT_FPMATH_MODE=any",
    ],
)
def test_what_would_decide_a_result_is_refused_by_name(variable, monkeypatch):
    name, _, value = variable.partition("=")
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"^{variable}: would change results"):
        make_accelerator("cpu")


def test_what_asks_for_nothing_is_no_fault():
    plain_launch = {  # what `accelerate launch` sets by itself
        "ACCELERATE_MIXED_PRECISION": "no",
        "ACCELERATE_DYNAMO_BACKEND": "NO",
        "ACCELERATE_DYNAMO_MODE": "default",
        "ACCELERATE_DYNAMO_USE_FULLGRAPH": "False",
        "ACCELERATE_DYNAMO_USE_DYNAMIC": "False",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1",
        "ACCELERATE_USE_CPU": "True",
        "ACCELERATE_DEBUG_MODE": "true",
        "ACCELERATE_CPU_AFFINITY": "1",
        "NVIDIA_TF32_OVERRIDE": "0",
        "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
        "HOME": "/",
    }
    environment.check(environment=plain_launch)
    environment.check("bf16", {"ACCELERATE_MIXED_PRECISION": "bf16"})  # what --precision says, too


def test_the_options_decide_not_the_environment():
    accelerator = make_accelerator("cpu")
    assert isinstance(accelerator, Accelerator)
    assert accelerator.gradient_accumulation_steps == 1
    set_numerics(Options())
    assert torch.get_float32_matmul_precision() == "highest"
    torch.use_deterministic_algorithms(False)


def test_what_shifts_rounding_is_in_the_record(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    monkeypatch.setenv("UNRELATED", "1")
    monkeypatch.setenv("TORCH_HOME", "/somebody/s/home")
    found = provenance(torch.device("cpu"), Path())["environment"]
    assert found["ATEN_CPU_CAPABILITY"] == "default"
    assert not {"UNRELATED", "TORCH_HOME"} & found.keys()


def test_a_launchers_flag_is_refused(own_suite):
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    launch += ["--mixed_precision", "bf16", "--dynamo_backend", "no", "-m", "dsd"]
    words = ["run", "points-mlp", "--scale", "mini", "--arm", "baseline"]
    done = subprocess.run(
        [sys.executable, *launch, *words],
        cwd=own_suite,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "dsd: ACCELERATE_MIXED_PRECISION=bf16: would change results" in done.stderr
    assert not list(own_suite.glob("runs/records/*"))
