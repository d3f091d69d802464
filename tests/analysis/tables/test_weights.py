"""Weight statistics: from the records' histograms, sign changes and returned weights."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.tables import weights
from analysis.tables.weights import layers
from dsd.pruning.statistics import half_width
from dsd.pruning.statistics import histogram as counted
from tests.analysis.conftest import contents, lines, read_run
from tests.analysis.made_up import histogram

stage = partial(histogram, half_width=1.0)


def ends(**layers):
    return [{"stage": "any", "moment": "end", "layers": layers}]


def back(pruned, nonzero, same_sign, median, q99, relative):
    return {
        "pruned": pruned,
        "nonzero": nonzero,
        "same_sign": same_sign,
        "quantiles": {"0.5": median, "0.9": 9.0, "0.99": q99, "1.0": 9.0} if pruned else {},
        "relative_magnitude": relative,
    }


# Bins of [-1, 1] in five: middles -0.8, -0.4, 0, 0.4, 0.8.
DENSE = ends(a=stage([1, 2, 4, 2, 1]), b=stage([5, 0, 0, 0, 5]))
SPARSE = ends(a=stage([1, 2, 0, 2, 0], above=1, zeros=4), b=stage([5, 0, 0, 0, 4], zeros=1))
REDENSE = ends(a=stage([2, 1, 3, 1, 2], zeros=1), b=stage([4, 0, 1, 0, 5]))


def write(house, rewrite, arm="dsd", seed=0, back_a=None, **conditions):
    path = house.run(arm, seed, 29.0, stages=[DENSE, SPARSE, REDENSE], **conditions)
    phases = contents(path)["phases"]
    for phase in phases:
        phase["layers"] = {name: {"weights": 10, "kept": 0} for name in "ab"}  # `returned` counts
    phases[1]["sign_changes"] = {"a": 2, "b": 1}
    phases[2] |= {
        "sign_changes": {"a": 1, "b": 0},
        "reborn": {
            "a": back_a or back(4, 3, 2, 0.01, 0.05, 0.25),
            "b": back(1, 1, 0, 0.06, 0.1, 0.5),
        },
    }
    rewrite(path, phases=phases)
    return path


def test_a_layer_of_a_round(house, rewrite):
    first, second = layers(read_run(write(house, rewrite)))
    assert first._asdict() == {
        "round": 1,
        "name": "a",
        "weights": 10,
        "pruned": 4,
        "changed_sparse": 2,
        "changed_redense": 1,
        "returned": 3,
        "same_sign": 2,
        "median": 0.01,
        "q99": 0.05,
        "relative": 0.25,
        "mean_magnitude_dense": pytest.approx(0.32),  # (2 * 0.8 + 4 * 0.4) / 10
        "mean_magnitude_sparse": pytest.approx(3.4 / 6),  # one of them beyond the bins: 1
        "mean_magnitude_redense": pytest.approx(4.0 / 9),
        "nonzero_dense": 10,
        "nonzero_sparse": 6,
        "nonzero_redense": 9,
    }
    assert (second.name, second.pruned, second.nonzero_dense) == ("b", 1, 10)


def test_an_arm_without_a_mask_has_none(house):
    path = house.run("finetune", 0, 29.0)
    assert layers(read_run(path)) == []
    assert house.page("weights").grids == []


def row(house):
    return lines(house.page("weights").grids[0])


def test_all_layers_of_a_round_together(house, rewrite):
    write(house, rewrite)
    assert row(house) == {
        "dsd": {
            "arm": "dsd",
            "round": "1",
            "n": "1",
            "pruned (%)": "25.00",
            "mean magnitude before pruning": "0.56",  # (3.2 + 8) / 20
            "mean magnitude sparse-trained": "0.707",  # (3.4 + 7.2) / 15
            "mean magnitude re-dense": "0.589",  # (4 + 7.2) / 19
            "sign changed in sparse (%)": "15.00",
            "in re-dense (%)": "5.00",
            "returned (%)": "80.00",
            "old sign (%)": "50.00",
            "median magnitude of the pruned": "0.02",  # (4 * 0.01 + 0.06) / 5
            "99 %": "0.06",
            "relative to the kept": "0.3",
        }
    }


def test_means_over_seeds_and_a_row_for_each_arm(house, rewrite):
    write(house, rewrite)
    write(house, rewrite, seed=1, back_a=back(4, 4, 4, 0.06, 0.05, 0.25))
    write(house, rewrite, arm="random")
    house.run("baseline", 0, 29.0)
    rows = row(house)
    assert list(rows) == ["dsd", "random"]
    assert (rows["dsd"]["n"], rows["random"]["n"]) == ("2", "1")
    assert rows["dsd"]["returned (%)"] == "90.00"
    assert rows["dsd"]["old sign (%)"] == "65.00"  # of 4 and of 5
    assert rows["dsd"]["median magnitude of the pruned"] == "0.04"
    assert rows["random"]["returned (%)"] == "80.00"


def test_a_layer_that_lost_no_weight_and_one_that_kept_none(house, rewrite):
    write(house, rewrite, back_a=back(0, 0, 0, 0.0, 0.0, None))
    assert row(house)["dsd"]["relative to the kept"] == "0.5"  # b's alone
    assert row(house)["dsd"]["returned (%)"] == "100.00"


def test_rounds_are_told_apart(house, rewrite):
    path = house.run("dsdsd", 0, 29.0, stages=[DENSE, SPARSE, REDENSE, SPARSE, REDENSE])
    phases = contents(path)["phases"]
    for i, pruned in ((1, 5), (3, 2)):
        phases[i] |= {"sign_changes": {"a": 1}}
        phases[i]["layers"]["a"] = {"weights": 10, "kept": 5}
        phases[i + 1] |= {
            "sign_changes": {"a": 0},
            "reborn": {"a": back(pruned, 1, 1, 0.1, 0.1, 0.1)},
        }
    rewrite(path, phases=phases)
    assert [(layer.round, layer.pruned) for layer in layers(read_run(path))] == [(1, 5), (2, 2)]
    assert layers(read_run(path))[1].mean_magnitude_dense == pytest.approx(4.0 / 9)  # re-dense 1


def test_miniatures_are_left_out_and_the_csv_is_by_layer(house, rewrite):
    write(house, rewrite, scale="mini")
    write(house, rewrite)
    assert len(house.page("weights").grids) == 1
    rows = house.csv("weights", "scale", "arm", "seed", "round", "name")
    assert [*rows] == [("full", "dsd", "0", "1", "a"), ("full", "dsd", "0", "1", "b")]
    row = rows["full", "dsd", "0", "1", "a"]
    assert float(row["mean_magnitude_sparse"]) == pytest.approx(3.4 / 6, rel=1e-5)
    assert (row["median"], row["weights"]) == ("0.01", "10")
    assert not {"nonzero_dense", "notes"} & row.keys()


@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_the_mean_magnitude_is_true_to_half_a_bin(size, seed, zeros):
    weight = torch.from_numpy(np.random.default_rng(seed).normal(size=size).astype(np.float32))
    width = half_width(weight)
    weight[: int(zeros * size)] = 0
    found, count = weights._magnitude(counted(weight, width))
    inside = weight[(weight != 0) & (weight.abs() <= width)]
    assert count == int(weight.count_nonzero())
    if count and len(inside) == count:
        assert abs(found - inside.abs().mean().item()) <= width / 121 * (1 + 1e-4)
