"""Weights split over processes: the masks of the whole weights bit for bit, whoever holds what."""

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed import checkpoint
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.optim import SGD, Adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dsd import Gradual, Sparsifier, blockwise
from dsd.pruning.sharded import is_sharded, local, whole
from tests.dsd.spawning import spawn

EVEN, UNEVEN = (8, 16, 4), (5, 7, 1, 3)  # widths; of one row some processes have nothing


def net(widths: tuple[int, ...], kind: str, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """The same weights on every process. ties: few values, zeros of both signs among them."""
    torch.manual_seed(0)
    layers = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))
    if kind == "ties":
        with torch.no_grad():
            for parameter in layers.parameters():
                parameter.copy_((parameter * 3).round() / 3)
    return layers.to(dtype)


def fsdp(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    for layer in list(model):  # type: ignore[call-overload]
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def fsdp_as_one(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    return fully_shard(model, mesh=mesh)


def tensor_parallel(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    plan = {"0": ColwiseParallel(), "1": RowwiseParallel()}
    return parallelize_module(model, mesh, plan)


def both(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """FSDP2 over tensor parallelism: two axes divide the same rows."""
    return fsdp(tensor_parallel(model, mesh["tp"]), mesh["dp"])


def layouts() -> Iterator[tuple[str, tuple[int, ...], Callable[[nn.Module], nn.Module]]]:
    world = distributed.get_world_size()
    line = init_device_mesh("cpu", (world,))
    for widths in (EVEN, UNEVEN):
        for way in (fsdp, fsdp_as_one):
            yield f"{way.__name__} {widths}", widths, lambda m, way=way: way(m, line)
    yield "tensor parallel", EVEN, lambda m: tensor_parallel(m, line)
    grid = init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("dp", "tp"))
    for widths in (EVEN, UNEVEN):
        yield f"hsdp {widths}", widths, lambda m: fsdp(m, grid)
    if world == 4:
        yield "fsdp x tensor parallel", EVEN, lambda m: both(m, grid)


def gradients(model: nn.Module) -> None:
    """The same gradient everywhere, split as the weight."""
    draws = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        full = torch.randn(parameter.shape, generator=draws).to(parameter.dtype)
        parameter.grad = full if not is_sharded(parameter) else split(full, parameter)


def split(full: Tensor, weight: Any) -> Tensor:
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(full, weight.device_mesh, weight.placements, src_data_rank=None)


def taylor(weight: nn.Parameter, generator: torch.Generator | None) -> Tensor:
    return (weight.detach() * weight.grad).abs()


WAYS: dict[str, dict[str, Any]] = {
    "magnitude": {"sparsity": 0.5},
    "by layer": {"sparsity": {"0": 0.3, "1.weight": 0.75}},
    "global": {"sparsity": 0.4, "scope": "global"},
    "random": {"sparsity": 0.5, "criterion": "random"},
    "random, global": {"sparsity": 0.6, "criterion": "random", "scope": "global"},
    "taylor": {"sparsity": 0.5, "criterion": taylor},
}


def masks_of(model: nn.Module, way: dict[str, Any], twice: bool) -> tuple[Sparsifier, Any]:
    gradients(model)
    generator = torch.Generator().manual_seed(2)
    s = Sparsifier(model, SGD(model.parameters(), 0.1), **way)
    s.sparsify(generator=generator)
    if twice:  # from an already sparse layer, whose zeros tie
        s.densify()
        s.sparsify(generator=generator)
    return s, generator.get_state()


def masks_are_the_whole_weights(folder: Path) -> None:
    kinds = [("normal", torch.bfloat16), ("ties", torch.float32)]
    for number, (layout, widths, shard) in enumerate(layouts()):
        for which, (name, way) in enumerate(WAYS.items()):
            both_kinds = distributed.get_world_size() == 4  # which takes its time
            for kind, dtype in kinds if both_kinds else [kinds[(number + which) % 2]]:
                expected, state = masks_of(net(widths, kind, dtype), way, kind == "ties")
                model = shard(net(widths, kind, dtype))
                ours, drawn = masks_of(model, way, kind == "ties")
                label = f"{layout}, {name}, {kind}"
                assert any(map(is_sharded, ours.masks.values())), label
                for layer, mask in ours.masks.items():
                    assert torch.equal(whole(mask), expected.masks[layer]), f"{label}: {layer}"
                    weight = whole(model.get_parameter(layer))
                    assert not weight[~expected.masks[layer]].any()
                assert torch.equal(state, drawn), label
                assert ours.report() == expected.report()
                assert ours.zeros == expected.zeros
                assert str(ours) == str(expected)


class Largest(TorchDispatchMode):
    """The most entries that any tensor has that an operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            plain = isinstance(one, Tensor) and not is_sharded(one)
            if plain and one.dtype != torch.uint8:  # bytes of what is there already, for a digest
                self.entries = max(self.entries, one.numel())
        return out


def nobody_holds_a_whole_layer(folder: Path) -> None:
    world = distributed.get_world_size()
    mesh = init_device_mesh("cpu", (world,))
    for criterion in ("magnitude", "random"):
        for kind in ("normal", "ties"):
            model = fsdp(net((3072, 1024), kind), mesh)
            s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5, criterion=criterion)
            with Largest() as largest:
                s.sparsify(generator=torch.Generator().manual_seed(0))
            assert 1 << 16 <= largest.entries <= max(3072 * 1024 / world, 1 << 20)


def blocks_are_within_a_process_or_refused(folder: Path) -> None:
    way = {"sparsity": 0.5, "criterion": blockwise("magnitude", 4)}
    world = distributed.get_world_size()
    mesh = init_device_mesh("cpu", (world,))
    expected, _ = masks_of(net(EVEN, "normal"), way, False)
    for shard in (fsdp, tensor_parallel):
        ours, _ = masks_of(shard(net(EVEN, "normal"), mesh), way, False)
        for layer, mask in ours.masks.items():
            assert torch.equal(whole(mask), expected.masks[layer])
    with pytest.raises(ValueError, match=r"1\.weight: processes share blocks of 16 inputs"):
        masks_of(
            tensor_parallel(net(EVEN, "normal"), mesh),
            {"sparsity": 0.5, "exclude": ["0"], "criterion": blockwise("magnitude", 16)},
            False,
        )


def training_holds_them(folder: Path) -> None:
    """Pruned weights are +0.0 after every step, also in gradual pruning; reborn ones at rest."""
    torch.manual_seed(5)
    inputs = torch.randn(6, 5)
    for layout, widths, shard in layouts():
        x = inputs[:, :1].expand(6, widths[0]).contiguous()
        for schedule in (None, Gradual(steps=4, every=2)):
            model = shard(net(widths, "normal"))
            optimizer = Adam(model.parameters(), lr=0.01)
            s = Sparsifier(model, optimizer, 0.5, schedule=schedule)

            def step(model=model, optimizer=optimizer, x=x) -> None:
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()

            step()
            s.sparsify()
            for _ in range(5):
                step()
                for name, mask in s.masks.items():
                    here = local(model.get_parameter(name))[~local(mask)]
                    assert not here.any(), (layout, name)
                    assert not torch.signbit(here).any()
            for name, counts in s.report().items():
                assert counts["kept"] == counts["weights"] - round(0.5 * counts["weights"]), name
            with torch.no_grad():
                model(x)  # leaves FSDP2's last group whole: noticed, and put right
            masks = s.masks
            s.densify()
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            for name, mask in masks.items():
                assert not local(model.get_parameter(name))[~local(mask)].any(), (layout, name)


def weights_without_order_are_refused_by_all(folder: Path) -> None:
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    model = fsdp(net(EVEN, "normal"), mesh)
    if distributed.get_rank() == 0:
        with torch.no_grad():
            local(model[0].weight)[0, 0] = torch.inf
    before = [local(p).clone() for p in model.parameters()]
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
    with pytest.raises(ValueError, match=r"0\.weight: .*have no order"):
        s.sparsify()
    assert not s.active
    assert all(map(torch.equal, before, [local(p) for p in model.parameters()]))


def other_sparsities_are_noticed(folder: Path) -> None:
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    model = fsdp(net(EVEN, "normal"), mesh)
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5 + 0.1 * distributed.get_rank())
    with pytest.raises(RuntimeError, match=r"0\.weight: process \d was given"):
        s.sparsify()


def changed_weights_are_noticed_by_all(folder: Path) -> None:
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    model = fsdp(net(EVEN, "normal"), mesh)
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
    s.sparsify()
    if distributed.get_rank() == 0:
        with torch.no_grad():
            local(model[0].weight).fill_(1)
    with pytest.raises(RuntimeError, match=r"0\.weight: \d+ pruned weights are not \+0\.0"):
        s.densify()


def split_after_construction(folder: Path) -> None:
    """Refused while the optimizer has the old weights; taken when it has the new, masks and all."""
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    for active in (False, True):
        expected = net(UNEVEN, "normal")
        Sparsifier(expected, SGD(expected.parameters(), 0.1), 0.5).sparsify()
        model = net(UNEVEN, "normal")
        optimizer = SGD(model.parameters(), 0.1)
        s = Sparsifier(model, optimizer, 0.5)
        if active:
            s.sparsify()
        fsdp(model, mesh)
        gradients(model)
        for use in (optimizer.step, s.state_dict) if active else (s.sparsify, s.state_dict):
            with pytest.raises(RuntimeError, match=r"0\.weight: was split over processes"):
                use()
        optimizer.param_groups[0]["params"] = [*model.parameters()]  # as accelerate does
        if active:
            optimizer.step()
        else:
            s.sparsify()
        for name, mask in s.masks.items():
            assert is_sharded(mask)
            assert torch.equal(whole(mask), expected.get_parameter(name) != 0), name
            assert not local(model.get_parameter(name))[~local(mask)].any()


def saved(folder: Path) -> None:
    """What torch.distributed.checkpoint saves of one layout, any other loads."""
    expected, _ = masks_of(net(EVEN, "normal"), WAYS["magnitude"], False)
    full = None
    for number, (_, widths, shard) in enumerate(layouts()):
        if widths != EVEN:
            continue
        model = shard(net(EVEN, "normal"))
        s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
        if number == 0:
            checkpoint.save({"dsd": s}, checkpoint_id=folder / "dense")
            s.sparsify(gradually=Gradual(steps=3, every=1))
            gradients(model)
            s.param_groups[0]["lr"] = 0.0
            s._optimizers.levels[0].step()
            checkpoint.save({"dsd": s}, checkpoint_id=folder / "growing")
            s.sparsify()
            checkpoint.save({"dsd": s}, checkpoint_id=folder / "saved")
            full = s.state_dict(full=True)
            plain = copy.deepcopy(net(EVEN, "normal"))
            other = Sparsifier(plain, SGD(plain.parameters(), 0.1), 0.5)
            other.load_state_dict(full)
            assert all(torch.equal(m, expected.masks[n]) for n, m in other.masks.items())
        load(s, folder, expected)
        if number:
            assert full is not None
            s.load_state_dict(full)
            assert all(torch.equal(whole(m), expected.masks[n]) for n, m in s.masks.items())


def load(s: Sparsifier, folder: Path, expected: Sparsifier) -> None:
    checkpoint.load({"dsd": s}, checkpoint_id=folder / "dense")
    assert not s.active
    checkpoint.load({"dsd": s}, checkpoint_id=folder / "growing")
    assert s.growing
    assert 0 < s.zeros < 0.5
    checkpoint.load({"dsd": s}, checkpoint_id=folder / "saved")
    assert not s.growing
    for name, mask in s.masks.items():
        assert torch.equal(whole(mask), expected.masks[name])


CHECKS = [
    masks_are_the_whole_weights,
    nobody_holds_a_whole_layer,
    blocks_are_within_a_process_or_refused,
    training_holds_them,
    weights_without_order_are_refused_by_all,
    other_sparsities_are_noticed,
    changed_weights_are_noticed_by_all,
    split_after_construction,
    saved,
]


def work(folder: Path) -> None:
    for check in CHECKS:
        check(folder)


def load_elsewhere(folder: Path) -> None:
    expected, _ = masks_of(net(EVEN, "normal"), WAYS["magnitude"], False)
    for _, widths, shard in layouts():
        if widths == EVEN:
            model = shard(net(EVEN, "normal"))
            load(Sparsifier(model, SGD(model.parameters(), 0.1), 0.5), folder, expected)


def test_two_processes_and_their_masks_in_one(tmp_path: Path):
    spawn(2, work, tmp_path)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/1", rank=0, world_size=1)
    try:
        expected, _ = masks_of(net(EVEN, "normal"), WAYS["magnitude"], False)
        model = fsdp(net(EVEN, "normal"), init_device_mesh("cpu", (1,)))
        load(Sparsifier(model, SGD(model.parameters(), 0.1), 0.5), tmp_path, expected)
    finally:
        distributed.destroy_process_group()


@pytest.mark.slow
def test_four_processes_and_their_masks_in_two(tmp_path: Path):
    spawn(4, work, tmp_path)
    spawn(2, load_elsewhere, tmp_path)
