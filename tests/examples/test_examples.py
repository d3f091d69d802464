"""The examples run as they are, and are short."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {  # file -> the package that it needs, what it prints in the sparse phase
    "plain_loop": ("torch", "50% zeros"),
    "tensor_parallel": ("torch", "50% zeros"),
    "accelerate_loop": ("accelerate", "50% zeros"),
    "timm_optimizer": ("timm", "50% zeros"),
    "hf_trainer": ("transformers", "'sparsity': '0.3"),
    "lightning_trainer": ("lightning", "'sparsity': 0.0}"),
}


def run(*command: str, **environment: str) -> str:
    given = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=given)
    assert done.returncode == 0, done.stderr
    return done.stdout


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def check(name: str, *launch: str) -> None:
    package, shown = EXAMPLES[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    assert shown in run(*launch, str(ROOT / f"examples/{name}.py"))


def test_all_are_known_and_short():
    files = {path.stem: path for path in (ROOT / "examples").glob("*.py")}
    assert files.keys() == EXAMPLES.keys()
    for path in files.values():
        assert len(path.read_text().splitlines()) < 40
    listed = (ROOT / "examples/README.md").read_text()
    assert all(f"`{name}.py`" in listed for name in files)


@pytest.mark.parametrize("name", ["plain_loop", "accelerate_loop"])
def test_those_of_the_suites_own_packages_run(name):
    check(name)


def test_split_weights_train_under_torchrun():
    check("tensor_parallel", *TORCHRUN)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm_optimizer", "hf_trainer", "lightning_trainer"])
def test_the_others_run_where_their_library_is_installed(name):
    check(name)
