"""NeuralTalk as we train it and caption, against NumPy with one sentence or hypothesis at a time.

    python -m benchmarks.captions [--rounds 3] [--device cpu] [--threads 1] [--out FILE]

The other program (per_sentence.py) works as the original does, and always on the CPU. Both have the
paper's sizes. A turn is one training step, or beam search for some images, whose ratio counts the
time for one image. Before that the programs are checked against each other. NumPy and torch have
the same number of threads.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import per_sentence
from benchmarks.pairs import ROOT, compare, options, write
from dsd import Sparsifier
from dsd.suite.recipe import load_recipe
from dsd.training.optimizers import make_optimizer
from models import build
from models.neuraltalk import NeuralTalk, targets
from recipes.captioning import EVAL_BATCH

SIZES = {"num_classes": 2538, "features": 4096, "encoding": 256, "hidden": 256}
CAPTIONS = 100  # of a training step
BEAM, IMAGES, THEIR_IMAGES = 20, 1000, 20
CAPTION_TARGETS = {"cpu": 5.0, "cuda": 50.0}  # at least


class Setting(NamedTuple):
    """What a training step computes in: ours, and the other program's."""

    ours: str  # float32, or bf16: autocast
    theirs: str  # NumPy's dtype
    by_word: bool  # as the original: a product and an outer product for every word
    sparse: bool = False
    target: float | None = None  # at least

    def __str__(self) -> str:
        ours = f"{self.ours}, sparse" if self.sparse else self.ours
        walk = "word by word" if self.by_word else "products of whole sentences"
        return f"training step in {ours} (the other in {self.theirs}, {walk})"


STEPS = [
    Setting("float32", "float64", by_word=True, target=12.0),
    Setting("float32", "float64", by_word=True, sparse=True, target=12.0),
    Setting("bf16", "float64", by_word=True, target=12.0),
    Setting("float32", "float32", by_word=False),  # the fastest per-sentence program
]


def step_case(
    setting: Setting,
    rounds: int,
    device: torch.device,
    *,
    sizes: Mapping[str, int] = SIZES,
    captions: int = CAPTIONS,
) -> dict[str, Any]:
    """Compares a training step as the recipe takes it with one that walks sentence by sentence."""
    recipe = load_recipe(ROOT / "recipes/flickr8k/neuraltalk.yaml")
    phase, dropout, clip = recipe.phases["sparse"], recipe.task["dropout"], recipe.clip_value
    assert clip is not None
    torch.manual_seed(0)
    net = build("neuraltalk", **sizes, dropout=dropout)
    params = arrays(net, setting.theirs)
    features, sentences = invented(captions, sizes)
    check_costs(net, features, sentences, setting.by_word)

    optimizer = make_optimizer(recipe.optimizer, net.to(device).parameters(), phase.lr)
    sparsifier = Sparsifier(net, optimizer, phase.sparsity, recipe.exclude, include=recipe.include)
    if setting.sparse:
        sparsifier.sparsify()
    batch = torch.from_numpy(features).to(device), *padded(sentences, device)

    def ours() -> None:
        optimizer.zero_grad()
        loss(net, *batch, bf16=setting.ours == "bf16").backward()
        nn.utils.clip_grad_value_(net.parameters(), clip)
        optimizer.step()

    squares = {name: np.zeros_like(array) for name, array in params.items()}
    their_features, draw = features.astype(setting.theirs), np.random.default_rng(0)

    def theirs() -> None:
        _, gradients = per_sentence.cost(
            params, their_features, sentences, by_word=setting.by_word, dropout=dropout, draw=draw
        )
        per_sentence.rmsprop(params, gradients, squares, lr=phase.lr, clip=clip)

    result = compare({"ours": ours, "theirs": theirs, "ours again": ours}, rounds, device)
    sparsifier.state_dict()  # raises if a pruned weight did not stay at zero
    return {"case": str(setting), "captions": captions, "least": setting.target, **clocked(result)}


def loss(net: nn.Module, features: Tensor, words: Tensor, lengths: list[int], bf16: bool) -> Tensor:
    """Returns nats per caption, as the task does (recipes/captioning.py)."""
    with torch.autocast(features.device.type, torch.bfloat16, enabled=bf16):
        logits = net(features, words, lengths).data
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    said = targets(words, lengths).data
    return F.cross_entropy(logits, said, reduction="sum") / len(words)


def check_costs(
    net: nn.Module, features: np.ndarray, sentences: list[np.ndarray], by_word: bool
) -> None:
    """Ends the program if the costs or their gradients differ, without dropout, in float64."""
    params, features = arrays(net, "float64"), features.astype("float64")
    cost, gradients = per_sentence.cost(params, features, sentences, by_word=by_word, l2=0.0)
    double = NeuralTalk.from_numpy(params, dropout=0.0)
    ours = loss(double, torch.from_numpy(features), *padded(sentences), bf16=False)
    ours.backward()
    same = {"cost": bool(np.isclose(ours.item(), cost, rtol=1e-9))}
    for name, parameter in double.named_parameters():
        assert parameter.grad is not None
        same[name] = np.allclose(parameter.grad.numpy(), gradients[name], rtol=1e-6, atol=1e-9)
    if not all(same.values()):
        raise SystemExit(f"the programs disagree: {', '.join(k for k in same if not same[k])}")


def caption_case(
    dtype: str,
    rounds: int,
    device: torch.device,
    *,
    sizes: Mapping[str, int] = SIZES,
    images: int = IMAGES,
    their_images: int = THEIR_IMAGES,
) -> dict[str, Any]:
    """Compares beam search for batches of images with one image and hypothesis at a time.

    dtype: what the other program computes in, on the same weights.
    """
    draw = np.random.default_rng(0)
    net = NeuralTalk.from_numpy(fluent(sizes, draw))
    params = arrays(net, dtype)
    features = draw.normal(size=(images, sizes["features"])).astype(np.float32)
    net.to(device).eval()
    batches = torch.from_numpy(features).to(device).split(EVAL_BATCH)
    their_features = features[:their_images].astype(dtype)

    def ours() -> list[tuple[list[int], float]]:
        return [caption for batch in batches for caption in net.caption(batch, beam=BEAM)]

    def theirs() -> list[tuple[list[int], float]]:
        return [per_sentence.caption(params, image, BEAM) for image in their_features]

    said, wanted = ours(), theirs()
    for (words, score), (their_words, their_score) in zip(said, wanted, strict=False):
        if words != their_words or not np.isclose(score, their_score, rtol=1e-4):
            raise SystemExit(f"the programs disagree: {words}, {their_words}")
    result = compare({"ours": ours, "theirs": theirs, "ours again": ours}, rounds, device)
    for ratios in result["ratios"].values():
        ratios["measured"] = {
            key: value if key == "n" else round(value * images / their_images, 4)
            for key, value in ratios["measured"].items()
        }
    lengths = [len(words) for words, _ in said]
    return {
        "case": f"beam {BEAM}, per image, in float32 (the other in {dtype})",
        "images": {"ours": images, "theirs": their_images},
        "words": {"min": min(lengths), "mean": float(np.mean(lengths)), "max": max(lengths)},
        "least": CAPTION_TARGETS[device.type] if dtype == "float64" else None,
        **clocked(result),
    }


def fluent(sizes: Mapping[str, int], draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns float32 weights, written down and not trained, whose captions have 9 to 11 words.

    Random weights would never end a caption. Here each word has one place of eleven. The image
    makes words of the first place likely, and each word four words of the next place. Half of the
    words from the eighth place on make the end as likely, those of the last place nothing else.
    Needs encoding == hidden, and four words or more a place.
    """
    vocabulary, width = sizes["num_classes"], sizes["hidden"]
    place = np.arange(vocabulary) % 11 + 1
    place[0] = 0
    codes = draw.choice([-1.0, 1.0], (vocabulary, width))
    codes[(place > 0) & (place < 8), 0] = -1  # the first digit stands for the end
    codes[place == 11, 0] = 1
    codes[:, 1] = -1  # the second for the start
    codes[0] = np.eye(width)[1]
    lstm = np.zeros((1 + 2 * width, 4 * width))
    lstm[0, :width] = lstm[0, 2 * width : 3 * width] = 4  # input and output gates are open
    lstm[0, width : 2 * width] = -1  # little is remembered beside the last word
    lstm[1 : 1 + width, 3 * width :] = 2 * np.eye(width)
    decoder = np.zeros((width, vocabulary))
    decoder[0, 0] = 15
    decoder[:, place == 1] = draw.normal(size=(width, np.count_nonzero(place == 1)))
    decoder[1, place == 1] = 80
    for word in np.flatnonzero((place > 0) & (place < 11)):
        next_words = draw.choice(np.flatnonzero(place == place[word] + 1), 4, replace=False)
        decoder[:, next_words] += np.outer(codes[word], draw.uniform(13, 15, 4)) / width
    params = {
        "We": draw.normal(0, sizes["features"] ** -0.5, (sizes["features"], width)),
        "be": np.zeros((1, width)),
        "Ws": codes,
        "WLSTM": lstm,
        "Wd": decoder,
        "bd": np.zeros((1, vocabulary)),
    }
    return {name: array.astype(np.float32) for name, array in params.items()}


def invented(captions: int, sizes: Mapping[str, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns features (captions, D), none below zero, and sentences as long as Flickr-8K's."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(captions, sizes["features"])).clip(0).astype(np.float32)
    lengths = draw.normal(10.8, 3.8, captions).round().clip(1, 36).astype(int)
    return features, [draw.integers(1, sizes["num_classes"], size=n) for n in lengths]


def padded(
    sentences: list[np.ndarray], device: torch.device | None = None
) -> tuple[Tensor, list[int]]:
    """Returns words (B, T), padded, and their numbers."""
    words = nn.utils.rnn.pad_sequence([*map(torch.from_numpy, sentences)], batch_first=True)
    return words.to(device), [len(sentence) for sentence in sentences]


def arrays(net: nn.Module, dtype: str) -> dict[str, np.ndarray]:
    """Returns copies of a network's parameters."""
    return {name: p.detach().numpy().astype(dtype) for name, p in net.named_parameters()}


def clocked(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the result, to be read by the wall clock where several threads share the work."""
    return result if torch.get_num_threads() == 1 else result | {"clock": "wall"}


def cases(rounds: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """Yields all comparisons; bf16 only where the device multiplies in it."""
    bf16 = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    for setting in STEPS:
        if bf16 or setting.ours != "bf16":
            yield step_case(setting, rounds, device)
    for dtype in ("float64", "float32"):
        yield caption_case(dtype, rounds, device)


def main() -> None:
    chosen = options(__doc__, "captions", rounds=3)
    if os.environ.get("OMP_NUM_THREADS") != str(chosen.threads):  # NumPy reads it as it is loaded
        threads = {"OMP_NUM_THREADS": str(chosen.threads)}
        os.execve(sys.executable, sys.orig_argv, os.environ | threads)
    write("captions", cases(chosen.rounds, chosen.device), chosen.device, chosen.out)


if __name__ == "__main__":
    main()
