"""Several processes: equal masks where the weights are equal, or an error that names the layer."""

from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.optim import SGD, Adam

from dsd import Sparsifier
from tests.dsd.spawning import spawn


def mlp(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def raises(error: type[Exception], text: str, call) -> None:
    with pytest.raises(error, match=text):
        call()


def gathered(s: Sparsifier) -> list[dict[str, torch.Tensor]]:
    masks: list[dict[str, torch.Tensor]] = [{}, {}]
    distributed.all_gather_object(masks, s.masks)
    return masks


def assert_equal(s: Sparsifier) -> None:
    first, second = gathered(s)
    assert first.keys() == second.keys()
    assert all(torch.equal(mask, second[name]) for name, mask in first.items())


def a_random_mask_needs_no_care(rank: int) -> None:
    for wrap in (nn.parallel.DistributedDataParallel, lambda net: net):
        model = wrap(mlp())
        s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5, criterion="random")
        s.sparsify(generator=torch.Generator().manual_seed(rank))  # each rank with its own
        assert_equal(s)


def other_sparsities_are_noticed(rank: int) -> None:
    for wrap in (nn.parallel.DistributedDataParallel, lambda net: net):
        model = wrap(mlp())
        before = [p.detach().clone() for p in model.parameters()]
        s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5 + 0.25 * rank)
        raises(RuntimeError, r"^0\.weight: process 1 has another mask than process 0", s.sparsify)
        assert not s.active
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def replicas_that_drifted_are_noticed(rank: int) -> None:
    model = nn.parallel.DistributedDataParallel(mlp())
    with torch.no_grad():
        model.module[2].weight.mul_(
            torch.rand(4, 16, generator=torch.Generator().manual_seed(rank))
        )
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
    raises(RuntimeError, r"^2\.weight: process 1 has another mask", s.sparsify)


def stages_of_a_pipeline_have_masks_of_their_own(rank: int) -> None:
    model = mlp(seed=rank)  # the same names, other weights
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
    s.sparsify()
    masks = gathered(s)
    assert not torch.equal(masks[0]["0.weight"], masks[1]["0.weight"])


def states_of_one_process_alone_are_noticed(rank: int) -> None:
    model = nn.parallel.DistributedDataParallel(mlp())
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
    dense = s.state_dict()
    s.sparsify()
    state = s.state_dict() if rank == 0 else dense
    s.densify()
    raises(RuntimeError, "has another mask", lambda: s.load_state_dict(state))


def zero_redundancy_optimizers_hold_their_state_inside(rank: int) -> None:
    for momentum in ("pruned", "reset"):
        model = nn.parallel.DistributedDataParallel(mlp())
        optimizer = ZeroRedundancyOptimizer(model.parameters(), Adam, lr=0.01)
        s = Sparsifier(model, optimizer, 0.5, momentum=momentum)

        def step(model=model, optimizer=optimizer) -> None:
            optimizer.zero_grad()
            model(torch.randn(16, 8)).square().mean().backward()
            optimizer.step()

        step()
        s.sparsify()
        for _ in range(3):
            step()
            for name, mask in s.masks.items():
                assert not model.module.get_parameter(name)[~mask].any()
        masks = s.masks
        s.densify()
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
        for name, mask in masks.items():
            assert not model.module.get_parameter(name)[~mask].any(), (momentum, name)
        assert_equal(s)


CHECKS = [
    a_random_mask_needs_no_care,
    other_sparsities_are_noticed,
    replicas_that_drifted_are_noticed,
    stages_of_a_pipeline_have_masks_of_their_own,
    states_of_one_process_alone_are_noticed,
    zero_redundancy_optimizers_hold_their_state_inside,
]


def work(folder: Path) -> None:
    for check in CHECKS:
        check(distributed.get_rank())


def test_two_processes(tmp_path: Path):
    spawn(2, work, tmp_path)
