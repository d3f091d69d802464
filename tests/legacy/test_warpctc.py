"""The comparison with warpctc_pytorch, run here, where the loss is our own."""

import ast
import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "legacy" / "warpctc" / "values.py"


@pytest.fixture(scope="module")
def values() -> ModuleType:
    spec = spec_from_file_location("values", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_our_loss_agrees_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("models/ctc.py, torch ")
    assert done.stdout.endswith("\n18 of 18 agree\n")


@pytest.mark.parametrize("part", ["cost", "grad"])
def test_a_difference_is_told(
    values: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    written = json.loads(values.VALUES.read_text())
    result = written["cases"][1]["results"]["sum"]
    if part == "cost":
        result["cost"] *= 1.001
    else:
        result["grad"][3][1][2] += 1e-3
    path = tmp_path / "values.json"
    path.write_text(json.dumps(written))
    assert values.main(path) == 1
    told = capsys.readouterr().out
    assert "case 1, sum: DIFFERENT" in told
    assert told.endswith("\n17 of 18 agree\n")


def test_it_is_python_3_6() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))
