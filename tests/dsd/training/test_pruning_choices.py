"""Gradual, layer by layer, all layers together: what a recipe can choose, in every arm."""

import pytest
import torch

from dsd.errors import UserError
from dsd.runs import checkpoint, record
from dsd.training.algorithm import train_arm
from dsd.training.stop import Stopped
from tests.dsd.running import StopAfter, make_run, weights

GRADUAL = (
    "phases.sparse.sparsity={'3': 0.75, '*': 0.25}",
    "phases.sparse.gradual={epochs: 1, every: 3}",
)


def test_gradual_and_by_layer_in_every_arm(own_suite):
    run = make_run(own_suite, *GRADUAL)
    paths = {arm: train_arm(run, arm) for arm in ("dsd", "random", "sparse", "finetune")}
    done = {arm: record.read(path) for arm, path in paths.items()}
    sparse = {arm: weights(run, arm, 2) for arm in done}
    counts = {"3.weight": 768, "5.weight": 16}
    for name, pruned in counts.items():
        for arm in ("dsd", "random", "sparse"):
            assert int((sparse[arm][name] == 0).sum()) == pruned
        assert (sparse["finetune"][name] != 0).all()
    assert not torch.equal(sparse["dsd"]["3.weight"] == 0, sparse["random"]["3.weight"] == 0)
    before, after = (weights(run, "sparse", depth)["3.weight"] for depth in (2, 3))
    assert torch.equal(before == 0, after == 0)
    assert not torch.equal(before, after)
    share = (768 + 16) / (1024 + 64)
    for arm, last in (("dsd", 0), ("random", 0), ("sparse", share), ("finetune", 0)):
        assert [phase.sparsity for phase in done[arm].phases] == [0, share, last]
    assert done["dsd"].phases[1].layers["3.weight"] == {"weights": 1024, "kept": 256}
    assert done["dsd"].phases[2].reborn["3.weight"]["pruned"] == 768
    stage, layers = record.read_stages(paths["dsd"])[1]
    assert (stage, layers["3.weight"]["zeros"]) == ("pruned", 0)  # none yet
    state = checkpoint.load(run.path("dsd")[1].folder)
    assert state is not None
    assert state["sparsifier"].keys() == {"masks"}


def test_a_gradual_random_mask_is_the_one_drawn_at_once(own_suite):
    at_once, slowly = make_run(own_suite), make_run(own_suite, GRADUAL[1])
    for run in (at_once, slowly):
        train_arm(run, "random")
    one, other = (weights(run, "random", 2)["3.weight"] for run in (at_once, slowly))
    assert torch.equal(one == 0, other == 0)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("arm", ["dsd", "random"])
def test_stopped_in_mid_schedule_the_run_ends_with_the_same_bits(own_suite, tmp_path, arm):
    whole = make_run(own_suite, *GRADUAL)
    train_arm(whole, arm)
    final = [weights(whole, arm, depth) for depth in (2, 3)]
    for phase in ("sparse", "redense"):  # of the dense phase there is nothing to be seen here
        for folder in (own_suite / "runs").rglob(f"{phase}*"):
            folder.rename(tmp_path / folder.name) if folder.exists() else None
    growing = 0
    while True:
        run = make_run(own_suite, *GRADUAL, stop=StopAfter(looks=1))
        torch.manual_seed(growing)
        try:
            train_arm(run, arm)
            break
        except Stopped:
            state = checkpoint.load(run.path(arm)[1].folder)
            growing += state is not None and "gradual" in state["sparsifier"]
    assert growing > 2
    for depth, expected in zip((2, 3), final, strict=True):
        for name, value in weights(run, arm, depth).items():
            assert torch.equal(value, expected[name]), name


def test_a_mask_half_grown_is_not_handed_on(own_suite):
    """The sparse phase does best in its first epoch, whose mask has not begun to grow."""
    changes = ("carry_over=best_heldout", "phases.sparse={epochs: 3, lr: 0.0001, sparsity: 0.9}")
    run = make_run(own_suite, *changes, "phases.sparse.gradual={epochs: 2, every: 16}")
    phase = record.read(train_arm(run, "sparse")).phases[1]
    errors = [row["heldout"]["error_pct"] for row in phase.log]
    assert errors[0] < min(errors[1:]), "the case needs a best before the mask is full"
    assert phase.carried_over_epoch in (2, 3)
    assert int((weights(run, "sparse", 2)["3.weight"] == 0).sum()) == round(0.9 * 1024)


def test_all_layers_compared_together(own_suite):
    run = make_run(own_suite, "phases.sparse.scope=global")
    layers = record.read(train_arm(run, "dsd")).phases[1].layers
    assert sum(row["weights"] - row["kept"] for row in layers.values()) == round(1088 / 2)
    assert layers["3.weight"]["kept"] != 512


def test_a_sparsity_of_no_layer_is_refused_before_the_dense_phase(own_suite):
    run = make_run(own_suite, "phases.sparse.sparsity={'3.wight': 0.5}")
    with pytest.raises(UserError, match=r'no .* named "3\.wight"; the nearest is 3\.weight'):
        train_arm(run, "dsd")
    assert not list(own_suite.rglob("checkpoint*"))


def test_a_loss_that_is_not_finite_while_masks_grow(own_suite):
    run = make_run(own_suite, *GRADUAL, "task.explode_at=27", "phases.sparse.gradual.every=1")
    with pytest.raises(UserError, match=r"not finite at step 3 of phase sparse.*good.* step 2"):
        train_arm(run, "dsd")
