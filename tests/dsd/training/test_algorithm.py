"""Whole runs of a suite of one's own, in this process: what is trained, shared, recorded."""

import json

import pytest
import torch

from analysis.records import Run
from analysis.tables import weights as weights_table
from dsd.errors import UserError
from dsd.runs import checkpoint, record
from dsd.runs.finished import find
from dsd.runs.settings import Settings
from dsd.suite.folder import Suite
from dsd.training.algorithm import train_arm
from dsd.training.device import Options
from dsd.training.random_state import seed_all
from dsd.training.stop import Stopped
from tests.dsd.running import StopAfter, make_run, undated, weights


def test_algorithm_1_prunes_holds_and_restores(own_suite):
    run = make_run(own_suite)
    path = train_arm(run, "dsd")
    dense, sparse, redense = (weights(run, "dsd", depth) for depth in (1, 2, 3))
    for name in ("3.weight", "5.weight"):
        pruned = sparse[name] == 0
        assert int(pruned.sum()) == round(0.5 * pruned.numel())
        assert dense[name][pruned].abs().max() <= dense[name][~pruned].abs().min()
        assert not torch.signbit(sparse[name][pruned]).any()
        assert not torch.equal(sparse[name][~pruned], dense[name][~pruned])
        assert (redense[name][pruned] != 0).any()
    assert (sparse["0.weight"] != 0).all()  # excluded

    done = record.read(path)
    assert [phase.steps for phase in done.phases] == [24, 10, 8]
    assert [stage["stage"] for phase in done.phases for stage in phase.stages] == [
        "dense",
        "pruned",
        "sparse-trained",
        "zeros restored",
        "re-dense",
    ]
    for _, layers in record.read_stages(path):
        for name, one in layers.items():
            total = one["counts"].sum() + one["below"] + one["above"] + one["zeros"]
            assert total == dense[name].numel()
    assert done.phases[1].layers["3.weight"] == {"weights": 1024, "kept": 512}
    assert done.phases[2].reborn["3.weight"]["pruned"] == 512
    assert done.final == done.phases[-1].test
    assert done.provenance["device"].startswith("cpu: ")
    assert torch.__version__.startswith(done.provenance["versions"]["torch"])
    examples = record.read_examples(path)
    wrong = examples["dense/sparse/redense/test/wrong"]
    assert 100 * wrong.mean() == pytest.approx(done.final["test"]["error_pct"])


def test_the_record_tells_the_test_error_of_the_weights_it_handed_on(own_suite):
    run = make_run(own_suite)
    done = record.read(train_arm(run, "baseline"))
    net = run.task.model()
    net.load_state_dict(weights(run, "baseline", 1))
    net.eval()
    x, y = run.task._points["test"]  # type: ignore[attr-defined]
    error = 100 * (net(x).argmax(1) != y).float().mean().item()
    assert done.final["test"]["error_pct"] == pytest.approx(error)


def test_arms_share_the_dense_phase_and_nothing_is_trained_twice(own_suite, monkeypatch):
    run = make_run(own_suite)
    train_arm(run, "dsd")
    before = {f: f.stat().st_mtime_ns for f in run.folder.rglob("checkpoint*")}
    train_arm(run, "random")
    train_arm(run, "dsd")
    assert {f: f.stat().st_mtime_ns for f in before} == before
    monkeypatch.setattr(
        "dsd.training.algorithm.train", lambda *a, **k: pytest.fail("trained again")
    )
    train_arm(run, "dsd")


def test_changed_settings_share_the_phases_that_they_do_not_change(own_suite):
    usual = make_run(own_suite)
    train_arm(usual, "dsd")
    changed = make_run(own_suite, "phases.sparse.sparsity=0.75")
    done = record.read(train_arm(changed, "dsd"))
    folders = [run.path("dsd")[depth - 1].folder for run in (usual, changed) for depth in (1, 2)]
    assert folders[0] == folders[2]
    assert folders[1] != folders[3]
    assert int((weights(changed, "dsd", 2)["3.weight"] == 0).sum()) == 768
    assert int((weights(usual, "dsd", 2)["3.weight"] == 0).sum()) == 512
    assert done.overrides == ["phases.sparse.sparsity=0.75"]
    other = make_run(own_suite, "task.width=16")
    assert other.path("baseline")[-1].folder != folders[0]


def test_controls_differ_in_the_mask_alone(own_suite):
    run = make_run(own_suite)
    for arm in ("dsd", "finetune", "random"):
        train_arm(run, arm)
    arms = ("dsd", "finetune", "random")
    dsd, finetune, random = (weights(run, arm, 2)["3.weight"] for arm in arms)
    assert (finetune != 0).all()
    assert int((random == 0).sum()) == int((dsd == 0).sum()) == 512
    assert not torch.equal(random == 0, dsd == 0)
    masked, unmasked = (
        record.read(run.records / f"points-mlp.mini.{arm}.seed0.json")
        for arm in ("dsd", "finetune")
    )
    for a, b in zip(masked.phases, unmasked.phases, strict=True):
        assert [row["lr"] for row in a.log] == [row["lr"] for row in b.log]
        assert a.steps == b.steps


def test_a_finished_record_is_not_replaced_by_one_of_other_settings(own_suite):
    longer = "phases.dense.epochs=4"
    written = train_arm(make_run(own_suite, longer), "dsd")
    before = written.read_bytes()
    other = make_run(own_suite, longer)
    other.options = Options(precision="bf16")
    with pytest.raises(UserError, match=r"seed0\.json: holds a record of other settings \(precis"):
        train_arm(other, "dsd")
    assert written.read_bytes() == before
    assert train_arm(make_run(own_suite, longer), "dsd") == written


def test_two_rounds(own_suite):
    run = make_run(own_suite)
    done = record.read(train_arm(run, "dsdsd"))
    folders = [phase.folder for phase in done.phases]
    assert folders == ["dense", "sparse", "redense", "sparse", "redense"]
    second = weights(run, "dsdsd", 4)["3.weight"]
    assert int((second == 0).sum()) == 512
    assert set(done.phases[4].reborn) == {"3.weight", "5.weight"}


def test_signs_after_two_sparse_phases_are_held_against_the_dense_weights(own_suite):
    """Those from before the first mask, as the weights have had none since."""
    twice = "arms.twice={source: ours, phases: [dense, sparse, sparser, redense]}"
    sparser = "phases.sparser={epochs: 1, lr: 0.1, sparsity: 0.75}"
    run = make_run(own_suite, twice, sparser)
    path = train_arm(run, "twice")
    dense, sparse, redense = (weights(run, "twice", d)["3.weight"] for d in (1, 3, 4))
    pruned = sparse == 0
    assert int(pruned.sum()) == 768
    back = record.read(path).phases[3].reborn["3.weight"]
    assert back["same_sign"] == int((dense.sign() == redense.sign())[pruned & (redense != 0)].sum())
    first = weights_table.layers(Run(path, record.read(path)))[0]
    before, sparsest = dense.abs().mean(), sparse[~pruned].abs().mean()
    assert first.mean_magnitude_dense == pytest.approx(float(before), rel=0.02)
    assert first.mean_magnitude_sparse == pytest.approx(float(sparsest), rel=0.05)


def test_seeds_differ_and_the_same_seed_repeats(own_suite, tmp_path):
    first = record.read(train_arm(make_run(own_suite), "baseline"))
    other = record.read(train_arm(make_run(own_suite, seed=1), "baseline"))
    (own_suite / "runs").rename(tmp_path / "away")
    again = record.read(train_arm(make_run(own_suite), "baseline"))
    assert again.phases[0].log == first.phases[0].log
    assert other.phases[0].log != first.phases[0].log


def test_stopped_at_every_step_the_run_ends_with_the_same_bits(own_suite, tmp_path):
    whole = make_run(own_suite)
    expected = undated(train_arm(whole, "dsd"))
    final = weights(whole, "dsd", 3)
    (own_suite / "runs").rename(tmp_path / "away")
    stops = 0
    while True:
        run = make_run(own_suite, stop=StopAfter(looks=1))
        torch.manual_seed(stops)  # what the process did before must not matter
        try:
            path = train_arm(run, "dsd")
            break
        except Stopped:
            stops += 1
    assert stops > 25
    assert undated(path) == expected
    for name, value in weights(run, "dsd", 3).items():
        assert torch.equal(value, final[name]), name


def test_a_loss_that_is_not_finite_names_step_and_checkpoint(own_suite):
    with pytest.raises(UserError, match=r"not finite at step 13 of phase dense.*good.* step 12"):
        train_arm(make_run(own_suite, "task.explode_at=13"), "baseline")


def test_other_settings_are_refused_by_name(own_suite):
    train_arm(make_run(own_suite), "baseline")
    run = make_run(own_suite)
    run.recipe = run.usual = run.recipe.model_copy(update={"momentum": "keep"})
    with pytest.raises(UserError, match=r"other settings .momentum: 'pruned' then, 'keep' now"):
        train_arm(run, "baseline")


def test_best_heldout_hands_on_the_best_epoch(own_suite):
    run = make_run(
        own_suite, "carry_over=best_heldout", "phases.dense.epochs=8", "phases.dense.lr=1"
    )
    done = record.read(train_arm(run, "llr"))
    errors = [row["heldout"]["error_pct"] for row in done.phases[0].log]
    best = errors.index(min(errors))
    assert done.phases[0].carried_over_epoch == best + 1 < 8, (
        "the case needs a best before the last"
    )
    net = run.task.model()
    net.load_state_dict(weights(run, "llr", 1))
    net.eval()
    x, y = run.task._points["heldout"]  # type: ignore[attr-defined]
    error = 100 * (net(x).argmax(1) != y).float().mean().item()
    assert error == pytest.approx(errors[best])


def test_the_task_says_which_figure_chooses(own_suite):
    task = own_suite / "recipes" / "points" / "task.py"
    text = task.read_text()
    text = text.replace('choose_by = "error_pct"', 'choose_by = "worst"')
    figures = 'return {"error_pct": 100 * float(np.mean(results["wrong"]))}'
    both = 'e = 100 * float(np.mean(results["wrong"])); return {"error_pct": e, "worst": -e}'
    assert figures in text
    task.write_text(text.replace(figures, both))
    run = make_run(own_suite, "carry_over=best_heldout", "phases.dense.epochs=8")
    done = record.read(train_arm(run, "baseline"))
    errors = [row["heldout"]["error_pct"] for row in done.phases[0].log]
    assert done.phases[0].carried_over_epoch == errors.index(max(errors)) + 1
    assert max(errors) > min(errors)


def test_gradients_are_clipped_entry_by_entry_or_as_a_whole(own_suite):
    def moved(*overrides: str) -> tuple[float, float, Settings]:
        run = make_run(
            own_suite,
            "optimizer={name: sgd}",
            "phases.dense={epochs: 0.125, lr: 1}",
            "task.dropout=0",
            *overrides,
        )
        seed_all(run.seed, "dense", 0)
        start = {k: v.clone() for k, v in run.task.model().state_dict().items()}
        settings = record.read(train_arm(run, "baseline")).settings
        end = weights(run, "baseline", 1)
        change = torch.cat([(end[k] - v).flatten() for k, v in start.items()])
        return change.abs().max().item(), change.norm().item(), settings

    largest, length, settings = moved()
    assert largest > 0.01
    assert settings.clip_value is settings.clip_norm is None
    largest, length, settings = moved("clip_value=0.001")
    assert largest == pytest.approx(0.001, rel=1e-4)
    assert length > 0.0011
    assert settings.clip_value == 0.001
    largest, length, settings = moved("clip_norm=0.001")
    assert length == pytest.approx(0.001, rel=1e-3)
    assert settings.clip_norm == 0.001


def test_checkpoints_keep_what_the_network_needs_beside_its_weights(own_suite):
    run = make_run(own_suite)
    train_arm(run, "baseline")
    state = checkpoint.load(run.path("baseline")[-1].folder)
    assert state is not None
    assert state["assets"] == {"classes": ["apart", "together"]}


def test_excluding_what_is_not_there_names_the_nearest(own_suite):
    with pytest.raises(UserError, match="exclude"):
        train_arm(make_run(own_suite, "exclude=[conv9]"), "baseline")


def test_the_sparse_control_never_drops_its_mask(own_suite):
    run = make_run(own_suite)
    train_arm(run, "dsd")
    done = record.read(train_arm(run, "sparse"))
    dsd = record.read(run.records / "points-mlp.mini.dsd.seed0.json")
    assert [phase.folder for phase in done.phases] == ["dense", "sparse", "redense-masked"]
    before, after = (weights(run, "sparse", depth) for depth in (2, 3))
    for name in ("3.weight", "5.weight"):
        assert torch.equal(before[name] == 0, after[name] == 0)
        assert not torch.equal(before[name], after[name])
    last, dsd_last = done.phases[-1], dsd.phases[-1]
    assert [row["lr"] for row in last.log] == [row["lr"] for row in dsd_last.log]
    assert (last.steps, last.sparsity, last.mask) == (dsd_last.steps, 0.5, "kept")
    assert last.layers["3.weight"] == {"weights": 1024, "kept": 512}
    assert last.reborn == {}
    assert [stage["stage"] for stage in last.stages] == ["sparse-trained"]
    assert done.phases[1].provenance == dsd.phases[1].provenance, "the sparse phase is shared"


def test_the_sparse_control_of_two_rounds_keeps_its_first_mask(own_suite):
    arms = "arms.long={source: ours, phases: [dense, sparse, redense, again], keep_mask: true}"
    run = make_run(own_suite, "phases.again={epochs: 1, lr: 0.001, sparsity: 0.25}", arms)
    done = record.read(train_arm(run, "long"))
    assert [phase.sparsity for phase in done.phases] == [0, 0.5, 0.5, 0.5]
    first, last = (weights(run, "long", depth)["3.weight"] == 0 for depth in (2, 4))
    assert torch.equal(first, last)


def test_a_mask_to_keep_must_be_chosen_first(own_suite):
    arms = "arms.x={source: ours, phases: [dense, sparse], mask: none, keep_mask: true}"
    with pytest.raises(UserError, match=r"arms\.x\.keep_mask: the arm has no mask to keep"):
        make_run(own_suite, arms)


def test_all_seeds_branch_from_one_dense_phase(own_suite):
    first = make_run(own_suite, "dense_seed=1", seed=1)
    one, two = (make_run(own_suite, "dense_seed=1", seed=seed) for seed in (0, 2))
    one.dense, two.dense = first, first
    done = [record.read(train_arm(run, "dsd")) for run in (one, two, first)]
    assert [run.seed for run in done] == [0, 2, 1]
    assert len({json.dumps(run.phases[0].log) for run in done}) == 1
    assert len({json.dumps(run.phases[1].log) for run in done}) == 3
    assert [run.settings.dense_seed for run in done] == [1, 1, None]
    assert train_arm(one, "baseline") == train_arm(two, "baseline") == train_arm(first, "baseline")
    assert not (one.folder / "dense" / "phase.json").exists()
    assert find(Suite(own_suite), one.path("dsd")[-1].folder, own_suite / "runs")
    found = find(
        Suite(own_suite),
        one.records / "points-mlp.mini+dense_seed=1.dsd.seed0.json",
        own_suite / "runs",
    )
    assert found.dense_folder == first.path("baseline")[-1].folder


def test_the_command_trains_the_shared_dense_phase_first(own_suite, dsd):
    done = dsd("run", "points-mlp", "--scale", "mini", "--seed", "3", "dense_seed=0", cwd=own_suite)
    assert done.returncode == 0, done.stderr
    phases = sorted(path.relative_to(own_suite) for path in own_suite.rglob("phase.json"))
    seeds = [(path.parts[2], path.parts[-2]) for path in phases]
    assert seeds == [("seed0", "dense"), ("seed3", "sparse"), ("seed3", "redense")]


def test_with_momentum_reset_every_arm_gets_a_new_solver(own_suite):
    kept, reset = (make_run(own_suite, *more) for more in ((), ("momentum=reset",)))
    for arm in ("dsd", "finetune", "llr"):
        first = [
            record.read(train_arm(run, arm)).phases[1].log[0]["train"] for run in (kept, reset)
        ]
        assert first[0] != first[1], arm
