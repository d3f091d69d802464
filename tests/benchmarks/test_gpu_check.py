"""The checks for a GPU, tried on what is here; a fault does not stop the others."""

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


def test_a_mask_that_is_another_on_the_device_is_found(tmp_path, monkeypatch):
    original, calls = gpu_check.magnitude_mask, []

    def wrong(weight, sparsity):
        calls.append(1)
        mask = original(weight, sparsity)
        return ~mask if len(calls) == 10 else mask

    monkeypatch.setattr(gpu_check, "magnitude_mask", wrong)
    assert gpu_check.run(gpu_check.masks_are_the_cpus, DEVICE, tmp_path)["ok"] is False
