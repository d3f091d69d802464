"""The checks for a GPU, tried on what is here; a fault does not stop the others."""

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from benchmarks import gpu_check

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
QUICK = gpu_check.CHECKS[:4]


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.__name__)
def test_a_quick_check_passes(check, tmp_path):
    result = gpu_check.run(check, DEVICE, tmp_path)
    assert result["ok"], result
    if "skipped" in result:
        pytest.skip(result["skipped"])


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
    page = (gpu_check.ROOT / "benchmarks" / "README.md").read_text()
    assert gpu_check.table([*cases.values()]) in page
    assert {case["made"]["device"] for case in cases.values() if "made" in case} == {"NVIDIA H200"}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs the command with one check of its own, and another in the record; returns its end."""
    out = tmp_path / "gpu.json"
    kept = {"check": "Another.", "ok": False, "took_s": 1.0, "made": {}}
    out.write_text(json.dumps({"cases": {"mask_ratio": kept, "gone": kept}}))

    def run(*words: str) -> tuple[object, dict[str, dict]]:
        command = ["gpu_check", *words, "--device", "cpu", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            gpu_check.main()
        return ended.value.code, json.loads(out.read_text())["cases"]

    return run


def test_named_checks_run_alone_and_the_others_stay(check):
    code, cases = check("batches_arrive_whole", "batches_arrive_whole")
    assert code == 0  # the one that failed was not tried
    assert cases["mask_ratio"]["check"] == "Another."
    assert cases["batches_arrive_whole"]["batches"] == 30
    assert "batches_arrive_whole" in cases["batches_arrive_whole"]["made"]["command"]
    assert len(cases) == 2  # a check that there is no more is dropped


def test_a_check_that_is_not_begun_leaves_its_record(check):
    code, cases = check("mask_ratio", "--minutes", "-1")
    assert code == 0
    assert cases["mask_ratio"]["check"] == "Another."


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_file_that_is_no_record_is_named(text, tmp_path):
    path = tmp_path / "gpu.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match=r"gpu\.json is no record of checks .*; name another with"):
        gpu_check._kept(path)
    assert gpu_check._kept(tmp_path / "none.json") == {}


def test_nothing_but_ctc_may_wait(monkeypatch):
    modes = ["error"]
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    original, seen = F.ctc_loss, []
    monkeypatch.setattr(F, "ctc_loss", lambda *given: seen.append((modes[-1], given)))
    inside = F.ctc_loss
    with gpu_check._ctc_may_wait():
        assert modes[-1] == "error"
        F.ctc_loss(1, 2)
        assert modes[-1] == "error"
    assert seen == [("default", (1, 2))]
    assert F.ctc_loss is inside is not original


def test_a_mask_that_is_another_on_the_device_is_found(tmp_path, monkeypatch):
    original, calls = gpu_check.magnitude_mask, []

    def wrong(weight, sparsity):
        calls.append(1)
        mask = original(weight, sparsity)
        return ~mask if len(calls) == 10 else mask

    monkeypatch.setattr(gpu_check, "magnitude_mask", wrong)
    assert gpu_check.run(gpu_check.masks_are_the_cpus, DEVICE, tmp_path)["ok"] is False
