"""The benchmark of captioning, in tiny sizes, and the NumPy program it compares with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import __main__ as report
from benchmarks import captions, pairs, per_sentence
from models.neuraltalk import NeuralTalk

CPU = torch.device("cpu")
SIZES = {"num_classes": 78, "features": 24, "encoding": 32, "hidden": 32}
GOLDEN = Path(__file__).parents[1] / "models" / "neuraltalk.npz"  # made by the original program


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def params(golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix("param_"): array
        for name, array in golden.items()
        if name.startswith("param_")
    }


@pytest.mark.parametrize("by_word", [True, False])
def test_cost_and_gradients_of_the_original(
    golden: dict[str, np.ndarray], params: dict[str, np.ndarray], by_word: bool
) -> None:
    sentences = [golden[f"sentence_{i}"] for i in range(6)]
    cost, gradients = per_sentence.cost(params, golden["features"], sentences, by_word=by_word)
    assert cost == pytest.approx(float(golden["loss"]), rel=1e-12)
    assert gradients.keys() == params.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, golden[f"grad_{name}"], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("beam", [1, 3, 7])
def test_captions_of_the_original(
    golden: dict[str, np.ndarray], params: dict[str, np.ndarray], beam: int
) -> None:
    for i, features in enumerate(golden["features"]):
        words, score = per_sentence.caption(params, features, beam)
        assert words == golden[f"beam{beam}_words_{i}"].tolist()
        assert score == pytest.approx(float(golden[f"beam{beam}_logprob_{i}"]), rel=1e-12)


@pytest.mark.parametrize("by_word", [True, False])
def test_gradients_under_dropout(by_word: bool) -> None:
    params = {k: v.astype(np.float64) for k, v in captions.fluent(SIZES, _draw()).items()}
    params = {name: 0.1 * array for name, array in params.items()}
    features, sentences = captions.invented(3, SIZES)

    def cost() -> tuple[float, dict[str, np.ndarray]]:
        return per_sentence.cost(
            params, features, sentences, by_word=by_word, dropout=0.5, draw=_draw(), l2=0.0
        )

    _, gradients = cost()
    for name, gradient in gradients.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        before, step = params[name][place], 1e-5
        params[name][place] = before + step
        above = cost()[0]
        params[name][place] = before - step
        below = cost()[0]
        params[name][place] = before
        assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=1e-5), name


def test_rmsprop_has_eps_inside_the_root_and_clips() -> None:
    params, squares = {"Wd": np.array([1.0, 2.0])}, {"Wd": np.zeros(2)}
    per_sentence.rmsprop(params, {"Wd": np.array([1e-4, -7.0])}, squares, lr=0.1)
    np.testing.assert_allclose(squares["Wd"], [1e-11, 0.025])
    moved = [1 - 0.1 * 1e-4 / np.sqrt(1e-11 + 1e-8), 2 + 0.1 * 5 / np.sqrt(0.025 + 1e-8)]
    np.testing.assert_allclose(params["Wd"], moved)


@pytest.mark.parametrize("setting", captions.STEPS, ids=str)
def test_step(setting: captions.Setting) -> None:
    case = captions.step_case(setting, 2, CPU, sizes=SIZES, captions=4)
    _check(case, ["ours", "theirs", "ours again"])
    assert case["least"] == setting.target


def test_the_sparse_step_is_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    sparsified: list[bool] = []
    monkeypatch.setattr(captions.Sparsifier, "sparsify", lambda self: sparsified.append(True))
    for setting in captions.STEPS:
        captions.step_case(setting, 1, CPU, sizes=SIZES, captions=2)
    assert len(sparsified) == sum(setting.sparse for setting in captions.STEPS) == 1


@pytest.mark.parametrize(("dtype", "least"), [("float64", 5.0), ("float32", None)])
def test_beam_search(dtype: str, least: float | None) -> None:
    case = captions.caption_case(dtype, 2, CPU, sizes=SIZES, images=6, their_images=3)
    _check(case, ["ours", "theirs", "ours again"])
    assert case["least"] == least


def test_the_ratio_of_beam_search_is_per_image(monkeypatch: pytest.MonkeyPatch) -> None:
    ratio = pairs.spread(np.array([0.5, 1.0, 2.0]))
    same = {"clock": "cpu", "ratios": {"cpu": {"measured": ratio, "control": ratio}}}
    monkeypatch.setattr(captions, "compare", lambda *_: same)
    case = captions.caption_case("float64", 3, CPU, sizes=SIZES, images=6, their_images=3)
    assert case["ratios"]["cpu"]["measured"] == pairs.spread(np.array([1.0, 2.0, 4.0]))
    assert case["ratios"]["cpu"]["control"] == ratio


def test_programs_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    right = per_sentence.cost

    def wrong(*args: Any, **kwargs: Any) -> tuple[float, dict[str, np.ndarray]]:
        cost, gradients = right(*args, **kwargs)
        gradients["Ws"][0, 0] += 1e-3
        return cost, gradients

    monkeypatch.setattr(per_sentence, "cost", wrong)
    with pytest.raises(SystemExit, match="disagree: Ws"):
        captions.step_case(captions.STEPS[0], 1, CPU, sizes=SIZES, captions=2)
    monkeypatch.setattr(per_sentence, "caption", lambda *_: ([1], 0.0))
    with pytest.raises(SystemExit, match="disagree"):
        captions.caption_case("float64", 1, CPU, sizes=SIZES, images=2, their_images=1)


def test_the_written_weights_end_their_captions_in_both_programs() -> None:
    sizes = SIZES | {"num_classes": 1101, "encoding": 256, "hidden": 256}
    net = NeuralTalk.from_numpy(captions.fluent(sizes, _draw())).eval()
    images = torch.from_numpy(_draw().normal(size=(20, sizes["features"]))).float()
    said = [words for words, _ in net.caption(images, beam=5)]
    assert {len(words) for words in said} <= {8, 9, 10, 11}
    assert len({tuple(words) for words in said}) > 10
    params = captions.arrays(net, "float64")
    theirs = [per_sentence.caption(params, image.numpy(), beam=5) for image in images[:3].double()]
    assert [words for words, _ in theirs] == said[:3]


def test_captions_as_long_as_those_of_flickr8k() -> None:
    _, sentences = captions.invented(2000, SIZES)
    assert np.mean([len(sentence) for sentence in sentences]) == pytest.approx(10.8, abs=0.3)
    assert all(sentence.min() > 0 for sentence in sentences)


def test_several_threads_are_read_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert captions.clocked({"clock": "cpu"}) == {"clock": "wall"}


def test_table_shows_least_and_rows_without_a_target(tmp_path: Path) -> None:
    ratio = pairs.spread(np.array([11.0, 12.5, 13.0]))
    case = {"clock": "cpu", "ratios": {"cpu": {"measured": ratio, "control": ratio}}}
    cases = [case | {"case": str(least), "least": least} for least in (12.0, 13.0, None)]
    pairs.write("captions", iter(cases), CPU, tmp_path / "captions.json")
    assert json.loads((tmp_path / "captions.json").read_text())["cases"][2]["least"] is None
    met, missed, free = (row for row in report.table(tmp_path).splitlines() if "over ours: " in row)
    assert "| >= 12.0 | 12.500 |" in met
    assert "| met |" in met
    assert "| >= 13.0 | 12.500 |" in missed
    assert "| **missed** |" in missed
    assert "| - | 12.500 |" in free


def _draw() -> np.random.Generator:
    return np.random.default_rng(0)


def _check(case: dict[str, Any], ways: list[str]) -> None:
    assert case["clock"] == ("cpu" if torch.get_num_threads() == 1 else "wall")
    for clock in ("cpu", "wall"):
        assert list(case["median_seconds"][clock]) == ways
        for ratio in case["ratios"][clock].values():
            assert ratio["n"] == 2
            assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
