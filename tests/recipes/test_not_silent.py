"""What the tasks once let pass: NaN scores, training data nobody needs, one image for BatchNorm."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data.images import ImageSet
from data.speech import ALPHABET
from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.suite.folder import Suite
from dsd.suite.task import ALONE, Shard
from models import build
from models.weights import CLASSIFIERS
from recipes.captioner import Captioner
from recipes.image_features import _read_part, _whole
from recipes.images import ImageTask, Settings
from recipes.metrics.bleu import words
from recipes.speech import Settings as SpeechSettings
from recipes.speech import network
from recipes.transcriber import Transcriber

SUITE = Suite(Path(__file__).parents[2])
TRAINING = {  # corpus: recipe, and what only training reads
    "imagenet": ("imagenet-resnet18", ["train"]),
    "imagenette": ("imagenette-resnet18", ["train"]),
    "cifar10": ("cifar10-resnet20", [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)]),
    "folder": ("folder-resnet18", ["train"]),
    "manifest": ("manifest-deepspeech2", ["train.jsonl", "audio/train", "discs"]),
    "an4": ("an4-deepspeech", ["train.jsonl", "audio/train", "discs"]),
}


@pytest.mark.parametrize("corpus", TRAINING)
def test_weights_are_scored_on_the_test_set_alone(corpus, miniatures, tmp_path):
    name, unused = TRAINING[corpus]
    module = SUITE.task_module(corpus)
    module.miniature(miniatures / corpus)
    folder = Path(shutil.copytree(miniatures / corpus, tmp_path / corpus))
    recipe = SUITE.recipe(name, "mini")
    whole = SUITE.task(recipe, folder, 0, 0)
    for path in (folder / each for each in unused):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError):
        SUITE.task(recipe, folder, 0, 0)
    alone = SUITE.task_for_tests(recipe, folder, 0)
    assert alone.tests == whole.tests
    assert alone.assets == whole.assets
    for split in alone.tests:
        ours, theirs = (
            next(alone.eval_batches(split, ALONE)),
            next(whole.eval_batches(split, ALONE)),
        )
        assert torch.equal(ours["index"], theirs["index"])
    states = [task.model().state_dict() for task in (alone, whole)]
    assert [(k, v.shape) for k, v in states[0].items()] == [
        (k, v.shape) for k, v in states[1].items()
    ]


def test_nan_for_some_classes_gives_no_figure(dsd, runs, tmp_path):
    state = build("resnet20").state_dict()
    state["fc.bias"][3] = float("nan")
    torch.save(state, tmp_path / "w.pt")
    given = ["--scale", "mini", "--weights", str(tmp_path / "w.pt"), "--runs", str(runs)]
    done = dsd("eval", "cifar10-resnet20", *given)
    assert done.returncode == 2
    assert done.stderr.startswith("dsd: test: the network's scores are not finite")
    assert "error" not in done.stdout


def test_a_transcriber_of_nan_says_so(tmp_path):
    settings = SpeechSettings(network="deepspeech", hidden=8, batch_size=1)
    state = network(settings).state_dict()
    list(state.values())[-1][0] = float("nan")
    assets = {"alphabet": ALPHABET, "task": settings.model_dump(mode="json")}
    checkpoint.save(tmp_path, {"settings": {}, "model": state, "assets": assets})
    cases = Path(__file__).parents[1] / "cases"
    with pytest.raises(UserError, match="scores are not finite"):
        Transcriber(tmp_path)(cases / "sox_pipe.wav")


def test_a_captioner_of_nan_says_so(tmp_path, monkeypatch):
    net = build("neuraltalk", num_classes=5, features=4, encoding=3, hidden=3)
    state = net.state_dict()
    state["bd"].flatten()[2] = float("nan")
    assets = {"vocabulary": [".", "a", "b", "c", "d"], "features": "vgg16"}
    checkpoint.save(tmp_path, {"settings": {}, "model": state, "assets": assets})
    monkeypatch.setattr(
        "recipes.captioner.Encoder",
        lambda *_, upright: lambda images: torch.ones(len(images), 4),
    )
    with pytest.raises(UserError, match="scores are not finite"):
        Captioner(tmp_path)([Path("a.jpg")], beam=3)


def images(count: int) -> ImageSet:
    labels = np.arange(count, dtype=np.int64) % 2
    return ImageSet("x/train", ("a", "b"), labels, files=("a/b/c",) * count)


@pytest.mark.parametrize(
    ("count", "batch", "crop", "processes", "fine"),
    [
        (9, 8, 32, 1, False),  # maps of 1 x 1 before the last BatchNorm, one image left over
        (1, 8, 32, 1, False),
        (9, 8, 64, 1, True),  # maps of 2 x 2
        (10, 8, 32, 1, True),
        (16, 8, 32, 1, True),
        (10, 8, 32, 2, True),  # one each: statistics are those of both
        (16, 2, 32, 2, True),
        (9, 8, 32, 2, False),
        (16, 8, 32, 2, True),
    ],
)
def test_one_image_under_batchnorm_is_refused_before_training(
    count, batch, crop, processes, fine, monkeypatch
):
    monkeypatch.setattr(ImageSet, "fingerprint", lambda self: "1")
    settings = Settings(
        network="resnet18", preprocessing="fb_resnet", resize=crop, crop=crop, batch_size=batch
    )
    task = ImageTask(settings, images(count), images(2), 0, 0)
    before = torch.get_rng_state()
    if fine:
        task.batches(0, 0, Shard(0, processes))
    else:
        with pytest.raises(UserError, match=r"task\.batch_size: .* needs two"):
            task.batches(0, 0, Shard(0, processes))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("network", sorted(CLASSIFIERS))
def test_every_network_is_tried_without_being_computed(network, monkeypatch):
    monkeypatch.setattr(ImageSet, "fingerprint", lambda self: "1")
    preprocessing = "fb_resnet"
    for crop, fine in ((224, True), (1, network in ("resnet18", "resnet50", "resnet20"))):
        settings = Settings(
            network=network, preprocessing=preprocessing, resize=224, crop=crop, batch_size=4
        )
        task = ImageTask(settings, images(8), images(2), 0, 0)
        if fine:
            task.batches(0, 0, ALONE)
        else:
            with pytest.raises(UserError, match=r"task\.crop: .* cannot be trained at this size"):
                task.batches(0, 0, ALONE)


def test_a_damaged_part_of_an_extraction_is_computed_again(tmp_path):
    path = tmp_path / "part.npz"
    feats = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float16)
    np.savez(path, feats=feats)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        assert not _whole(path) or np.array_equal(_read_part(path), feats)
    path.write_bytes(whole[:100])
    assert not _whole(path)
    assert not _whole(tmp_path / "none.npz")


@pytest.mark.parametrize(
    "blank", ["\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\x1c", "\x1f"]
)
def test_words_are_split_at_asciis_blanks_alone(blank):
    assert words(f" a{blank}b\tc\r") == [f"a{blank}b", "c"]


def test_bleu_of_a_file_with_no_break_spaces(dsd):
    cases = Path(__file__).parents[1] / "cases"
    given = ["--hypotheses", str(cases / "no_break_space.hyp")]
    given += [word for i in range(3) for word in ("--references", str(cases / f"ref{i}"))]
    assert "BLEU = 69.9/50.9/43.6/40.3 " in dsd("score", "bleu", *given).stdout
