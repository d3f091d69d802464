"""Scores that are not finite: seen in whatever a network returns, and no figure comes of them."""

import pytest
import torch
from torch import nn

from dsd.errors import UserError
from dsd.suite.finite import finite_outputs
from dsd.training.evaluate import evaluate_split
from tests.dsd.running import make_run


class Gives(nn.Module):
    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: object) -> object:
        return self.output


BAD = torch.tensor([1.0, float("nan"), 2.0])


@pytest.mark.parametrize(
    "output",
    [
        BAD,
        torch.tensor([float("inf")]),
        (torch.ones(2), [BAD]),
        {"logits": BAD.half()},
        nn.utils.rnn.pack_sequence([BAD]),
    ],
)
def test_every_form_of_output_is_looked_at(output):
    with finite_outputs(net := Gives(output)) as unsound:
        net(0)
    assert any(unsound)
    with finite_outputs(net := Gives((torch.ones(2), torch.tensor([1, 2]), None))) as unsound:
        net(0)
    assert not any(unsound)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", ["heldout", "test"])
def test_a_network_that_gives_nan_for_some_classes_has_no_figures(own_suite, bad, split):
    run = make_run(own_suite)
    net = run.task.model()
    metrics, _ = evaluate_split(run.task, net, run.accelerator, split)
    assert metrics["error_pct"] < 100
    with torch.no_grad():
        net[-1].bias[1] = bad  # the metric alone cannot tell: it counts wrong answers
    with pytest.raises(UserError, match=f"^{split}: the network's scores are not finite"):
        evaluate_split(run.task, net, run.accelerator, split)
