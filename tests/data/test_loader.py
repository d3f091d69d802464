import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data import cifar10, imagenet
from data.images import ImageSet
from data.loader import Loader
from data.transforms import preprocessing
from dsd.errors import UserError
from dsd.suite.task import Shard

SMALL = {"crop": 32, "resize": 40}


@pytest.fixture(scope="module")
def files(mini):
    images = imagenet.load(mini / "imagenet", "train")
    return images.subset(np.arange(0, 320, 7), "some")  # 46 images


@pytest.fixture(scope="module")
def pixels(mini):
    return cifar10.load(mini / "cifar10", "test").subset(np.arange(46), "some")


def loader(images: ImageSet, **options) -> Loader:
    prepare = preprocessing("cifar") if images.files == () else preprocessing("fb_resnet", **SMALL)
    return Loader(images, prepare, **{"batch_size": 10, "seed": 3, "train": True, **options})


def inputs(batch) -> torch.Tensor:
    """Returns the network's input; the pixels of memory are 32 x 32 as the crop of the files is."""
    kind = "cifar" if batch.get("drawn", torch.empty(0)).dim() == 2 else "fb_resnet"
    return preprocessing(kind).colours(batch["images"], batch.get("drawn"))


def assert_same(some, others):
    some, others = list(some), list(others)
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys() >= {"images", "labels", "index"}
        for key in one:
            assert torch.equal(one[key], other[key]), key


@pytest.mark.parametrize("kind", ["files", "pixels"])
@pytest.mark.parametrize("train", [True, False])
def test_each_epoch_holds_every_image_once_with_its_label(kind, train, request):
    images = request.getfixturevalue(kind)
    batches = list(loader(images, train=train).batches(2))
    assert [len(batch["labels"]) for batch in batches] == [10, 10, 10, 10, 6]
    assert batches[0]["images"].shape == (10, 3, 32, 32)
    assert batches[0]["images"].dtype == torch.uint8
    assert ("drawn" in batches[0]) is train
    index = torch.cat([batch["index"] for batch in batches])
    labels = torch.cat([batch["labels"] for batch in batches])
    assert sorted(index.tolist()) == list(range(46))
    assert (index.tolist() == list(range(46))) is (not train)
    assert labels.tolist() == images.labels[index].tolist()


@pytest.mark.parametrize("kind", ["files", "pixels"])
def test_resumed_epoch_is_the_tail_of_the_whole_one(kind, request):
    images = request.getfixturevalue(kind)
    whole = list(loader(images).batches(1))
    for step in (0, 2, 5):
        assert_same(loader(images).batches(1, first_step=step), whole[step:])


@pytest.mark.parametrize("kind", ["files", "pixels"])
def test_seeds_and_epochs_differ_in_order_and_in_augmentation(kind, request):
    images = request.getfixturevalue(kind)

    def by_index(seed, epoch):
        found = {}
        for batch in loader(images, seed=seed).batches(epoch):
            found |= dict(zip(batch["index"].tolist(), inputs(batch), strict=True))
        return found

    first = by_index(3, 0)
    for seed, epoch in ((3, 1), (4, 0)):
        other = by_index(seed, epoch)
        assert list(other) != list(first)
        assert sum(not torch.equal(first[i], other[i]) for i in first) > 40


@pytest.mark.parametrize("kind", ["files", "pixels"])
def test_images_of_an_epoch_are_augmented_each_in_its_own_way(kind, request):
    same = request.getfixturevalue(kind).subset([5] * 20, "twenty times the same")
    seen = {image.numpy().tobytes() for b in loader(same).batches(0) for image in inputs(b)}
    assert len(seen) >= 18  # CIFAR-10 has 162 ways


@pytest.mark.parametrize("kind", ["files", "pixels"])
def test_augmentation_does_not_depend_on_the_place_in_the_batch(kind, request):
    images = request.getfixturevalue(kind)
    small = {}
    for batch in loader(images, batch_size=3).batches(0):
        small |= dict(zip(batch["index"].tolist(), inputs(batch), strict=True))
    for batch in loader(images, batch_size=10).batches(0):
        for i, image in zip(batch["index"].tolist(), inputs(batch), strict=True):
            assert torch.equal(small[i], image)


def test_workers_change_nothing(files):
    assert_same(loader(files, workers=2).batches(1, 1), loader(files).batches(1, 1))


def test_workers_stay_and_read_each_epoch_anew_also_after_a_broken_off_one(files):
    some = loader(files, workers=2)
    first, workers = list(some.batches(0)), set(multiprocessing.active_children())
    broken_off = some.batches(1)
    next(broken_off)
    del broken_off
    assert_same(some.batches(2, 3), loader(files).batches(2, 3))
    assert_same(some.batches(0), first)
    assert len(workers) >= 2
    assert set(multiprocessing.active_children()) == workers


@pytest.mark.parametrize("kind", ["files", "pixels"])
@pytest.mark.parametrize("world", [2, 3, 8])
def test_shards_in_turn_are_the_whole_batch(kind, world, request):
    images = request.getfixturevalue(kind)
    ranks = [list(loader(images).batches(0, 1, Shard(rank, world))) for rank in range(world)]
    joined = [
        {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        for parts in zip(*ranks, strict=True)
    ]
    assert_same(joined, loader(images).batches(0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_global_generators_stay_as_they_are(files, pixels, workers):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    for images in (files, pixels):
        for train in (True, False):
            list(loader(images, workers=workers, train=train).batches(0))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_resuming_reads_no_image_of_the_steps_before(files, monkeypatch):
    read: list[int] = []
    original = ImageSet.read
    monkeypatch.setattr(ImageSet, "read", lambda self, i: read.append(i) or original(self, i))
    (last,) = loader(files).batches(0, first_step=4)
    assert read == last["index"].tolist()


@pytest.fixture
def damaged(mini, tmp_path) -> tuple[Path, str]:
    """An ImageNet folder with one truncated file."""
    root = tmp_path / "imagenet"
    shutil.copytree(mini / "imagenet", root)
    name = "val/n01440764/ILSVRC2012_val_00000011.JPEG"
    (root / name).write_bytes((root / name).read_bytes()[:900])
    return root, name


@pytest.mark.parametrize("workers", [0, 2])
def test_corrupt_image_is_an_error_that_names_the_file(damaged, workers):
    root, name = damaged
    batches = loader(imagenet.load(root, "test"), train=False, workers=workers).batches()
    with pytest.raises(UserError, match="corrupt image") as caught:
        list(batches)
    message = str(caught.value)
    assert str(root / name) in message
    assert "skip_corrupt" in message
    assert "\n" not in message


@pytest.mark.parametrize("workers", [0, 2])
def test_corrupt_image_is_left_out_and_counted_once(damaged, mini, workers):
    root, name = damaged
    images = imagenet.load(root, "test")
    some = loader(images, train=False, workers=workers, skip_corrupt=True)
    for _ in range(2):
        index = torch.cat([batch["index"] for batch in some.batches()])
        assert sorted(set(range(160)) - set(index.tolist())) == [images.files.index(name)]
    assert some.skipped == [name]
    (whole, short) = (
        next(iter(loader(imagenet.load(folder, "test"), train=False, **options).batches()))
        for folder, options in ((mini / "imagenet", {}), (root, {"skip_corrupt": True}))
    )
    kept = torch.isin(whole["index"], short["index"])
    assert kept.sum() == 9
    assert torch.equal(whole["images"][kept], short["images"])


def test_batch_without_a_good_image_is_an_error_even_when_skipping(damaged):
    root, name = damaged
    images = imagenet.load(root, "test")
    some = loader(images, train=False, skip_corrupt=True, batch_size=1)
    with pytest.raises(UserError, match=name):
        list(some.batches())


@pytest.mark.parametrize("workers", [0, 2])
def test_missing_file_is_never_skipped(damaged, workers):
    root, name = damaged
    images = imagenet.load(root, "test")
    (root / name).unlink()
    some = loader(images, train=False, workers=workers, skip_corrupt=True)
    with pytest.raises(UserError, match=f"{name}: cannot be read") as caught:
        list(some.batches())
    assert "\n" not in str(caught.value)  # no traceback of a worker


STOPPABLE = """
import signal, sys, time
from pathlib import Path
from data import imagenet
from data.loader import Loader
from data.transforms import preprocessing

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
images = imagenet.load(Path(sys.argv[1]), "train")
loader = Loader(images, preprocessing("caffe"), batch_size=4, seed=0, train=True, workers=2)
batches = loader.batches()
next(batches)
print("ready", flush=True)
while not asked:
    time.sleep(0.01)
for _ in range(70):
    next(batches)
print("went on", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not name a signal's sender")
def test_workers_outlive_a_sigterm_to_the_whole_job(mini):
    quiet = ("-W", "ignore::UserWarning")  # torch's, where there are fewer cores than workers
    command = [sys.executable, *quiet, "-c", STOPPABLE, str(mini / "imagenet")]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=root, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        os.killpg(job.pid, signal.SIGTERM)
        out, err = job.communicate(timeout=120)
    assert (job.returncode, out, err) == (0, "went on\n", "")


def test_preprocessing_must_suit_the_set(files, pixels):
    with pytest.raises(UserError, match="cifar"):
        Loader(files, preprocessing("cifar"), batch_size=2, seed=0, train=True)
    with pytest.raises(UserError, match="cifar"):
        Loader(pixels, preprocessing("caffe"), batch_size=2, seed=0, train=True)
