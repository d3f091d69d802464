"""The checks for a GPU, tried on what is here; a fault does not stop the others."""

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_check

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
QUICK = gpu_check.CHECKS[:4]


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.__name__)
def test_a_quick_check_passes(check, tmp_path):
    result = gpu_check.run(check, DEVICE, tmp_path)
    assert result["ok"], result


@pytest.mark.slow
@pytest.mark.parametrize("check", gpu_check.CHECKS[4:], ids=lambda check: check.__doc__[:50])
def test_a_long_check_passes(check, tmp_path):
    result = gpu_check.run(check, DEVICE, tmp_path)
    assert result["ok"], result


def test_a_fault_is_in_the_table(tmp_path):
    def breaks(device: torch.device, folder: Path) -> dict[str, object]:
        """It holds."""
        raise AssertionError("it does not")

    result = gpu_check.run(breaks, DEVICE, tmp_path)
    assert result["ok"] is False
    assert "| It holds. | **failed** | " in gpu_check.table([result])
    assert "it does not" in gpu_check.table([result])


def test_the_page_has_the_record():
    cases = json.loads((gpu_check.RESULTS / "gpu.json").read_text())["cases"]
    assert gpu_check.table(cases) in (gpu_check.ROOT / "benchmarks" / "README.md").read_text()
    assert {case["made"]["device"] for case in cases} == {"NVIDIA H200"}


def test_named_checks_run_alone_and_the_others_stay(tmp_path, monkeypatch):
    out = tmp_path / "gpu.json"
    kept = {"check": "Another.", "ok": True, "took_s": 1.0, "made": {}}
    out.write_text(json.dumps({"cases": [kept]}))
    words = ["gpu_check", "batches_arrive_whole", "--device", "cpu", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    assert ended.value.code == 0
    first, second = json.loads(out.read_text())["cases"]
    assert first == kept
    assert second["batches"] == 30
    assert "batches_arrive_whole" in second["made"]["command"]


def test_a_mask_that_is_another_on_the_device_is_found(tmp_path, monkeypatch):
    original, calls = gpu_check.magnitude_mask, []

    def wrong(weight, sparsity):
        calls.append(1)
        mask = original(weight, sparsity)
        return ~mask if len(calls) == 10 else mask

    monkeypatch.setattr(gpu_check, "magnitude_mask", wrong)
    assert gpu_check.run(gpu_check.masks_are_the_cpus, DEVICE, tmp_path)["ok"] is False
