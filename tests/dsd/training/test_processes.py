"""Several processes train as one does: the same weights, exact metrics, no waiting between."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import distributed, nn

from dsd.errors import UserError
from dsd.runs import record
from dsd.training import phase
from dsd.training.algorithm import train_arm
from dsd.training.batch_norm import SynchronisedBatchNorm
from dsd.training.run import Run
from dsd.training.stop import Stopped
from tests.dsd.running import StopAfter
from tests.dsd.spawning import spawn
from tests.dsd.training.processes import NETWORKS, pictures_run

KINDS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def finished(run: Run) -> tuple[list[dict[str, torch.Tensor]], Any]:
    """Returns the weights of all phases, and the record's figures."""
    done = record.read(run.records / f"{run.recipe.name}.dsd.seed0.json")
    figures = [(phase.log, phase.test, phase.layers) for phase in done.phases]
    return [place.checkpoint()["model"] for place in run.path("dsd")], figures


def assert_as_alone(run: Run, alone: tuple[Any, Any], atol: float) -> None:
    weights, figures = finished(run)
    for ours, expected in zip(weights, alone[0], strict=True):
        for name, value in ours.items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=atol, msg=name)
    for mine, (log, test, layers) in zip(figures, alone[1], strict=True):
        for row, other in zip(mine[0], log, strict=True):
            for split in ("train", "heldout"):
                assert row[split] == pytest.approx(other[split], rel=1e-7)
        assert mine[1]["test"] == pytest.approx(test["test"], rel=1e-7)
        assert mine[2] == layers


def as_one_process(folder: Path, alone: dict[str, Any]) -> None:
    for network in NETWORKS:
        run = pictures_run(network, folder / network)
        train_arm(run, "dsd")
        assert_as_alone(run, alone[network], 1e-9)


def sharded_as_one_process(folder: Path, alone: dict[str, Any]) -> None:
    """Stopped in the middle, resumed whole and sharded by turns: the same files throughout."""
    for network in NETWORKS:
        for looks, way in ((3, "fsdp"), (4, None), (3, "fsdp"), (None, "fsdp")):
            stop = None if looks is None else StopAfter(looks)
            run = pictures_run(network, folder / f"sharded-{network}", stop, shard=way)
            try:
                with patch.object(phase, "CHECK_EVERY", 1):
                    train_arm(run, "dsd")
            except Stopped:
                assert looks is not None
        assert_as_alone(run, alone[network], 1e-9)
        masks = [place.checkpoint()["sparsifier"]["masks"] for place in run.path("dsd")]
        assert not masks[0]
        assert all(mask.dtype == torch.bool for mask in masks[1].values())


def batch_norm_is_torchs(folder: Path, alone: dict[str, Any]) -> None:
    """Parts of 5, 0, ... of a batch have the outputs, gradients and statistics of the whole."""
    rank = distributed.get_rank()
    for dim, kind in KINDS.items():
        torch.manual_seed(dim)
        whole = torch.randn(6, 3, *([2] * dim if dim > 1 else []), dtype=torch.float64) * 3 + 1
        upstream = torch.randn_like(whole)
        expected, ours = kind(3).double(), kind(3).double()
        with torch.no_grad():
            expected.weight.uniform_(), expected.bias.uniform_()
        ours.load_state_dict(expected.state_dict())
        ours.__class__ = SynchronisedBatchNorm
        mine = {0: slice(0, 5), 1: slice(5, 5)}.get(rank, slice(3 + rank, 4 + rank))
        if distributed.get_world_size() == 2:
            mine = [slice(0, 6), slice(6, 6)][rank]
        x = whole.clone().requires_grad_()
        expected(x).backward(upstream)
        part = whole[mine].clone().requires_grad_()
        output = ours(part)
        output.backward(upstream[mine])
        close = torch.testing.assert_close
        close(output, expected.train()(whole)[mine])
        close(part.grad, x.grad[mine])
        for own, other in zip(ours.parameters(), expected.parameters(), strict=True):
            distributed.all_reduce(own.grad)
            close(own.grad, other.grad)
        expected.load_state_dict(ours.state_dict())
        close(ours.eval()(whole), expected.eval()(whole))


def no_step_waits_but_for_gradients(folder: Path, alone: dict[str, Any]) -> None:
    """Within an epoch of fewer steps than a check, Python calls no collective."""
    calls: list[str] = []
    was = {name: getattr(distributed, name) for name in ("all_reduce", "broadcast", "all_gather")}
    for name, call in was.items():
        setattr(distributed, name, lambda *a, n=name, c=call, **k: (calls.append(n), c(*a, **k))[1])
    run = pictures_run("plain", folder / "waits")
    seen: list[int] = []
    batches = run.task.batches

    def counted(*given: Any) -> Any:
        for batch in batches(*given):
            seen.append(len(calls))
            yield batch

    run.task.batches = counted  # type: ignore[method-assign]
    try:
        train_arm(run, "dsd")
    finally:
        for name, call in was.items():
            setattr(distributed, name, call)
    assert calls, "the spies saw nothing"
    epochs = [seen[i : i + 4] for i in range(0, len(seen), 4)]
    assert all(len(set(epoch)) == 1 for epoch in epochs), epochs


def nodes_need_one_folder(folder: Path, alone: dict[str, Any]) -> None:
    own = folder / ("plain" if distributed.get_rank() == 0 else "elsewhere")
    with pytest.raises(UserError, match=r"give --runs a folder that all nodes share"):
        train_arm(pictures_run("plain", own), "dsd")


CHECKS = [
    as_one_process,
    sharded_as_one_process,
    batch_norm_is_torchs,
    no_step_waits_but_for_gradients,
    nodes_need_one_folder,
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, found = tmp_path_factory.mktemp("alone"), {}
    for network in NETWORKS:
        run = pictures_run(network, folder / network)
        train_arm(run, "dsd")
        found[network] = finished(run)
    return found


def train(folder: Path, looks: int | None) -> None:
    """Trains, or resumes, the plain network until the stop was looked at so often."""
    run = pictures_run("plain", folder / "run", None if looks is None else StopAfter(looks))
    try:
        with patch.object(phase, "CHECK_EVERY", 1):  # so that it stops within an epoch
            train_arm(run, "dsd")
    except Stopped:
        return
    assert looks is None


def two(folder: Path, alone: dict[str, Any]) -> None:
    train(folder, 2)
    for check in CHECKS:
        check(folder, alone)


def test_two_processes_and_a_run_that_goes_on_in_one_and_in_two(alone, tmp_path):
    """Without dropout they differ by rounding alone, sums of an epoch in progress included."""
    spawn(2, two, tmp_path, alone)
    train(tmp_path, 3)
    run = pictures_run("plain", tmp_path / "run")
    assert run.path("dsd")[0].checkpoint()["progress"]["steps"] == 5
    spawn(2, train, tmp_path, None)
    assert_as_alone(run, alone["plain"], 1e-9)
    dense = record.read(run.records / "plain.dsd.seed0.json").phases[0].provenance
    sessions = [session["processes"] for session in (*dense["earlier_sessions"], dense)]
    assert sessions == [2, 1, 2]


@pytest.mark.slow
def test_four_processes(alone, tmp_path):
    spawn(4, two, tmp_path, alone)
