"""One flipped bit in every kind of file that we write: refused by name, or without effect."""

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dsd.runs import record
from dsd.runs.sums import SUMS, check_sums
from tests.faults.results import results, same_as
from tests.faults.tally import ROOT, Said, Tally, judge, refusal, run

RUN = ("run", "points-mlp", "--scale", "mini", "--device", "cpu")
Flip = Callable[[], tuple[Path, str]]


def flips(folder: Path, count: int, seed: int = 0) -> list[Tally]:
    """Flips so many bits, the same number for each kind of file."""
    draw = random.Random(seed)
    kinds = [*_run_files(folder / "runs"), *_records(folder / "runs"), *_speech(folder / "speech")]
    kinds += [*_features(folder / "features"), *_corpora(folder / "corpora")]
    tallies = []
    for i, (kind, one) in enumerate(kinds):
        tally = Tally(f"flipped bit, {kind}")
        for _ in range(count // len(kinds) + (i < count % len(kinds))):
            one(tally, draw)
        tallies.append(tally)
    return tallies


def _flipped(path: Path, draw: random.Random) -> tuple[bytes, str]:
    """Flips one bit of a file; returns what it held, and where the bit is."""
    whole = path.read_bytes()
    place, bit = draw.randrange(len(whole)), draw.randrange(8)
    changed = bytearray(whole)
    changed[place] ^= 1 << bit
    path.write_bytes(changed)
    return whole, f"{path.name}, byte {place}, bit {bit}"


def _run_files(folder: Path) -> Iterator[tuple[str, Any]]:
    """Files of a finished run: the same command again gives the same results, or refuses."""
    suite = Path(shutil.copytree(ROOT / "tests" / "own_suite", folder / "suite"))
    runs = folder / "whole"
    said = run([*RUN, "--runs", str(runs)], suite)
    assert said.code == 0, said.out
    expected = results(runs)

    def one(pattern: str, tally: Tally, draw: random.Random) -> None:
        copy = Path(shutil.copytree(runs, folder / "copy"))
        path = draw.choice(sorted(copy.rglob(pattern)))
        whole, what = _flipped(path, draw)
        said = run([*RUN, "--runs", str(copy)], suite)
        if said.code == 0:
            tally.add("right" if _same_but(expected, copy, path, whole) else "silent", what)
        elif not refusal(said):
            tally.add("traceback", f"{what}: {said.out[-300:]}")
        else:
            path.write_bytes(whole)  # restored, as the line says, nothing is lost
            again = run([*RUN, "--runs", str(copy)], suite)
            fine = again.code == 0 and same_as(expected, copy)
            tally.add("refused" if fine else "lost", what)
        shutil.rmtree(copy)

    for pattern in ("checkpoint.json", "checkpoint-*.pt", "phase.json", "examples.npz"):
        if any(runs.rglob(pattern)):
            yield pattern, partial(one, pattern)


def _same_but(expected: dict[str, Any], copy: Path, path: Path, whole: bytes) -> bool:
    """Returns whether the results are the same, the flipped file restored where it was not read.

    A finished phase's optimizer state is not read again; the records are what it must agree with.
    """
    records = {name: each for name, each in expected.items() if name.startswith("records")}
    try:
        found = results(copy / "records")
    except (ValueError, KeyError, OSError):
        return False
    return {f"records/{name}": each for name, each in found.items()} == records


def _records(folder: Path) -> Iterator[tuple[str, Any]]:
    (path,) = (folder / "whole" / "records").glob("*.json")
    expected = record.read(path).model_dump(), _bytes(record.read_examples(path))

    def one(file: Path, tally: Tally, draw: random.Random) -> None:
        whole, what = _flipped(file, draw)

        def read() -> Any:
            return record.read(path).model_dump(), _bytes(record.read_examples(path))

        judge(tally, what, read, lambda found: found == expected)
        file.write_bytes(whole)

    yield "record (.json)", partial(one, path)
    yield "record's examples (.npz)", partial(one, path.with_suffix(".npz"))


def _bytes(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


def _speech(folder: Path) -> Iterator[tuple[str, Any]]:
    from data.prepare import Source, prepare
    from data.spectrogram import Spectrograms
    from data.speech import SUMS as MANIFESTS
    from data.speech import read_manifest, read_samples

    def noise(place: int) -> np.ndarray:
        walk = np.random.default_rng(place).normal(0, 300, 3000 + 100 * place).cumsum()
        return walk.clip(-32768, 32767).astype(np.int16)

    root = folder / "an4"
    sources = [Source(f"u{i}", f"s{i}", "go on", partial(noise, i)) for i in range(6)]
    prepare("an4", {"train": sources}, root)
    cache = folder / "cache"

    def everything() -> Any:
        speech = read_manifest(root, "an4", "train")
        kept = Spectrograms(speech, cache)
        samples = [read_samples(root, each).tobytes() for each in speech.utterances]
        return speech.utterances, samples, [kept[i].tobytes() for i in range(len(speech))]

    expected = everything()

    def one(pattern: str, tally: Tally, draw: random.Random) -> None:
        path = draw.choice(sorted(folder.rglob(pattern)))
        whole, what = _flipped(path, draw)
        judge(tally, what, everything, lambda found: found == expected)
        path.write_bytes(whole)

    for kind, pattern in {
        "manifest (.jsonl)": "train.jsonl",
        MANIFESTS: MANIFESTS,
        "prepared recording (.flac)": "*.flac",
        "spectrogram cache": "an4-*.npy",
    }.items():
        yield kind, partial(one, pattern)


def _features(folder: Path) -> Iterator[tuple[str, Any]]:
    from data.image_features import load_features

    folder.mkdir()
    path = folder / "features_net.npz"
    names = [f"{i}.jpg" for i in range(20)]
    feats = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float16)
    np.savez_compressed(path, feats=feats, names=np.array(names), weights=np.array("w"))
    expected = load_features(path, names, "again").tobytes()

    def one(tally: Tally, draw: random.Random) -> None:
        whole, what = _flipped(path, draw)
        judge(
            tally,
            what,
            lambda: load_features(path, names, "run dsd features").tobytes(),
            lambda found: found == expected,
        )
        path.write_bytes(whole)

    yield "features (.npz)", one


def _corpora(folder: Path) -> Iterator[tuple[str, Any]]:
    from data.mini import cifar10, imagenette

    for module, kind in ((cifar10, "batches of CIFAR-10"), (imagenette, "pictures of Imagenette")):
        root = folder / module.__name__.rpartition(".")[2]
        module.write(root)
        line = check_sums(root, root / SUMS)
        files = [file for file in sorted(root.rglob("*")) if file.is_file() and file.name != SUMS]
        assert str(len(files)) in line

        def one(root: Path, files: list[Path], tally: Tally, draw: random.Random) -> None:
            path = draw.choice(files)
            whole, what = _flipped(path, draw)
            judge(tally, what, lambda: check_sums(root, root / SUMS), lambda found: False)
            path.write_bytes(whole)

        yield f"{kind}, verify --checksums", partial(one, root, files)


__all__ = ["Said", "flips"]
