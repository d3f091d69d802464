"""The benchmark of the recurrent layer, so small that its times mean nothing."""

import pytest
import torch

from benchmarks import recurrent

CPU = torch.device("cpu")
SMALL = {"rounds": 2, "device": CPU, "utterances": 3, "steps": (2, 7)}


def test_a_case_compares_the_two_layers() -> None:
    case = recurrent.case(4, **SMALL)
    assert case["case"] == "4 units, 3 utterances"
    assert case["least"] == 1.0
    assert 2 <= case["steps"]["shortest"] <= case["steps"]["longest"] <= 7
    for clock in ("cpu", "wall"):
        assert list(case["median_seconds"][clock]) == ["ours", "theirs", "ours again"]
        for ratio in case["ratios"][clock].values():
            assert ratio["n"] == 2
            assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]


def test_layers_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    right = recurrent.like

    def wrong(layer: recurrent.Recurrent) -> torch.nn.RNN:
        rnn = right(layer)
        with torch.no_grad():
            rnn.weight_hh_l0_reverse.mul_(1.1)
        return rnn

    monkeypatch.setattr(recurrent, "like", wrong)
    with pytest.raises(SystemExit, match="disagree: states"):
        recurrent.case(4, **SMALL)
