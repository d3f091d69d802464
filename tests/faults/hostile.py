"""Files that people could send: refused in one line, nothing outside the folder touched or run."""

import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dsd.errors import UserError
from tests.faults.tally import ROOT, Tally, judge

PRECIOUS = "precious"


class Code:
    """Makes a folder called `ran` in the working folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def hostile(folder: Path) -> list[Tally]:
    """Reads every hostile file; silent: it was read, or did something outside its folder."""
    tallies: dict[str, Tally] = {}
    folder.mkdir()
    before = os.getcwd()
    for kind, what, make in CASES:
        tally = tallies.setdefault(kind, Tally(f"hostile {kind}"))
        place = folder / f"{len(tallies)}-{tally.outcomes.total()}"
        place.mkdir()
        (folder / PRECIOUS).write_text("mine")
        os.chdir(place)
        try:
            read = make(place)
            judge(tally, what, read, lambda found: False)
        finally:
            os.chdir(before)
        if (folder / PRECIOUS).read_text() != "mine" or (place / "ran").exists():
            tally.add("silent", f"{what}: touched what lies outside, or ran")
    return list(tallies.values())


Case = tuple[str, str, Callable[[Path], Callable[[], object]]]
CASES: list[Case] = []


def case(kind: str, what: str) -> Callable[[Any], Any]:
    """Adds a case: a function that writes its files and returns what reads them."""

    def add(make: Callable[[Path], Callable[[], object]]) -> Any:
        CASES.append((kind, what, make))
        return make

    return add


def _checkpoints() -> Iterator[tuple[str, Any, Any]]:
    yield "code in a checkpoint", {"model": Code()}, None
    yield "an empty file", b"", None
    yield "a cut file", b"PK\x03\x04" + bytes(60), None
    yield "a list", [1, 2], None
    yield "no settings", {"model": {}}, None
    yield "a pointer that leads out", {"model": {}}, {"file": "../precious", "sha256": "0" * 64}
    yield "a pointer of another format", {"model": {}}, {"format": 99}
    yield "a pointer that is a list", {"model": {}}, [1]


for _what, _content, _pointer in _checkpoints():

    @case("checkpoint", _what)
    def _(folder: Path, content: Any = _content, pointer: Any = _pointer) -> Callable[[], object]:
        from dsd.runs import checkpoint
        from dsd.runs.files import sha256

        path = folder / "checkpoint-a.pt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        right = {"file": path.name, "sha256": sha256(path)}
        given = pointer if isinstance(pointer, list) else {**right, **(pointer or {})}
        (folder / checkpoint.POINTER).write_text(json.dumps(given))
        return lambda: checkpoint.load_named(folder)


def _pickles() -> Iterator[tuple[str, bytes]]:
    for protocol in (0, 2, 5):
        yield f"code, protocol {protocol}", pickle.dumps(Code(), protocol)
    yield "another object", pickle.dumps({b"data": zipfile.ZipInfo("a")})
    yield (
        "a huge array",
        pickle.dumps({b"data": np.broadcast_to(np.uint8(1), (2, 3)), b"labels": 7}),
    )
    yield "endless nesting", b"(" * 100_000 + b"."
    yield "nothing", b""


for _what, _data in _pickles():

    @case("pickle", _what)
    def _(folder: Path, data: bytes = _data) -> Callable[[], object]:
        from data import cifar10

        (folder / "test_batch").write_bytes(data)
        return lambda: cifar10.load(folder, "test")


def _npy(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def _archives() -> Iterator[tuple[str, dict[str, bytes]]]:
    names = _npy((1,), "<U5") + "a.jpg".encode("utf-32-le")
    yield "a huge declared shape", {"feats.npy": _npy((10**9, 10**6)), "names.npy": names}
    yield "a negative shape", {"feats.npy": _npy((-1, 4)), "names.npy": names}
    yield "a bomb of zeros", {"feats.npy": _npy((1, 2**25)) + bytes(2**28), "names.npy": names}
    yield (
        "pickled objects",
        {"feats.npy": _npy((1,), "|O") + pickle.dumps(Code()), "names.npy": names},
    )
    yield "no features", {"names.npy": names}
    yield "a path that leads out", {"../../precious": b"yours"}


for _what, _members in _archives():

    @case(".npz", _what)
    def _(folder: Path, members: dict[str, bytes] = _members) -> Callable[[], object]:
        from data.image_features import load_features

        with zipfile.ZipFile(folder / "f.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return lambda: load_features(folder / "f.npz", ["a.jpg"], "run dsd features")


def _members() -> Iterator[tuple[str, tarfile.TarInfo]]:
    for name, kind, target in (
        ("corpus/link", tarfile.SYMTYPE, "../../../precious"),
        ("corpus/hard", tarfile.LNKTYPE, "../../precious"),
        ("../../precious", tarfile.REGTYPE, ""),
        ("/tmp/dsd-precious", tarfile.REGTYPE, ""),
        ("corpus/pipe", tarfile.FIFOTYPE, ""),
        ("corpus/device", tarfile.CHRTYPE, ""),
    ):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        yield f"{name} ({kind!r})", member


for _what, _member in _members():

    @case("archive", _what)
    def _(folder: Path, member: tarfile.TarInfo = _member) -> Callable[[], object]:
        from hashlib import md5

        from dsd.suite.download import Download, fetch

        archive = folder / "x.tar.gz.part"  # as after a download
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(member, io.BytesIO())
        data = archive.read_bytes()
        digest = md5(data, usedforsecurity=False).hexdigest()
        item = Download("https://example.invalid/x.tar.gz", digest, len(data), "corpus")
        return lambda: fetch(item, folder)


def _pictures() -> Iterator[tuple[str, bytes]]:
    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + crc

    for side in (60_000, 2**31 - 1):
        header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
        head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        yield f"{side} pixels wide", head + pixels + chunk(b"IEND", b"")
    yield "a GIF without pictures", b"GIF89a" + bytes(20)
    yield "a program", b"\x7fELF" + bytes(100)
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(precious) deletefile\n"


for _what, _data in _pictures():

    @case("picture", _what)
    def _(folder: Path, data: bytes = _data) -> Callable[[], object]:
        from data.images import read_image

        (folder / "x.png").write_bytes(data)
        return lambda: read_image(folder / "x.png", upright=True)


def _recordings() -> Iterator[tuple[str, bytes]]:
    yield "a size that is no size", b"RIFF\xff\xff\xff\x7fWAVEfmt " + b"\xff" * 40
    yield "no end of chunks", b"FORM\0\0\0\0AIFF" + b"\0" * 1000
    yield "a SPHERE header of letters", b"NIST_1A\n   many\n" + bytes(2000)
    yield (
        "a shorten bomb",
        b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten\n" + b"\xff" * 4000,
    )
    yield "a list of files", b"#EXTM3U\n/etc/passwd\n"
    yield "an Ogg page of nothing", b"OggS" + bytes(40)


for _what, _data in _recordings():

    @case("recording", _what)
    def _(folder: Path, data: bytes = _data) -> Callable[[], object]:
        from data.audio import read_audio

        (folder / "x.wav").write_bytes(data)
        return lambda: read_audio(folder / "x.wav")


@case("manifest", "a path that leads out")
def _(folder: Path) -> Callable[[], object]:
    return _manifest(folder, {"audio_filepath": "../precious"})


@case("manifest", "a huge number of samples")
def _(folder: Path) -> Callable[[], object]:
    return _manifest(folder, {"samples": 10**30})


@case("manifest", "endless nesting")
def _(folder: Path) -> Callable[[], object]:
    (folder / "train.jsonl").write_text("[" * 100_000)
    from data.speech import read_manifest

    return lambda: read_manifest(folder, "an4", "train")


def _manifest(folder: Path, change: dict[str, Any]) -> Callable[[], object]:
    from data.speech import read_manifest

    line = {"audio_filepath": "a", "text": "a", "utterance": "u", "speaker": "s", "samples": 1}
    (folder / "train.jsonl").write_text(json.dumps({**line, "sha256": "0" * 64, **change}))
    return lambda: read_manifest(folder, "an4", "train")


@case("captions", "a name that leads out")
def _(folder: Path) -> Callable[[], object]:
    from data import flickr8k

    image = {
        "filename": "../precious",
        "imgid": 0,
        "split": "train",
        "sentences": [{"tokens": ["a"]}],
    }
    (folder / "dataset.json").write_text(json.dumps({"images": [image]}))
    return lambda: flickr8k.load(folder, "train")


def _recipes() -> Iterator[tuple[str, str, str]]:
    yield "endless nesting", "", "[" * 100_000
    yield "a tag that runs code", "", "title: !!python/object/apply:os.mkdir [ran]\n"
    yield "a phase that leads out", "phases:", "phases:\n  ../../precious: {epochs: 1, lr: 0.1}"
    yield "an arm that leads out", "arms:", "arms:\n  ../x: {source: ours, phases: [dense]}"
    yield "a mask that leads out", "keep_mask: true}", "mask: ../../x}"
    yield "another name", "title:", "name: ../../x\ntitle:"


for _what, _old, _new in _recipes():

    @case("recipe", _what)
    def _(folder: Path, old: str = _old, new: str = _new) -> Callable[[], object]:
        from dsd.suite.folder import Suite

        suite = Path(shutil.copytree(ROOT / "tests" / "own_suite", folder / "suite"))
        path = suite / "recipes" / "points" / "mlp.yaml"
        path.write_text(path.read_text().replace(old, new, 1) if old else new)
        return lambda: Suite(suite).recipe("points-mlp", "mini")


@case("commands.yaml", "a name that is an option")
def _(folder: Path) -> Callable[[], object]:
    return _commands(folder, "--help: x")


@case("commands.yaml", "no mapping")
def _(folder: Path) -> Callable[[], object]:
    return _commands(folder, "[run]")


def _commands(folder: Path, text: str) -> Callable[[], object]:
    from dsd.suite.folder import Suite

    (folder / "recipes" / "x").mkdir(parents=True)
    (folder / "recipes" / "x" / "commands.yaml").write_text(text)
    return lambda: Suite(folder).commands()


@case("run folder", "a checkpoint that is a link to a file outside")
def _(folder: Path) -> Callable[[], object]:
    from dsd.runs import checkpoint

    for name in checkpoint.SLOTS:
        (folder / name).symlink_to(folder.parent / PRECIOUS)

    def write() -> None:
        checkpoint.save(folder, {"step": 1})
        checkpoint.save(folder, {"step": 2})
        raise UserError("written beside it")

    return write


@case("weights", "code")
def _(folder: Path) -> Callable[[], object]:
    torch.save({"state_dict": Code()}, folder / "w.pt")
    return _weights(folder / "w.pt")


@case("weights", "a bomb of zeros")
def _(folder: Path) -> Callable[[], object]:
    np.savez_compressed(folder / "w.npz", **{"conv1.weight": np.zeros(2**26)})
    return _weights(folder / "w.npz")


@case("weights", "a caffemodel that says it is longer")
def _(folder: Path) -> Callable[[], object]:
    (folder / "w.caffemodel").write_bytes(b"\xa2\x06\xff\xff\xff\xff\x7f")
    return _weights(folder / "w.caffemodel")


def _weights(path: Path) -> Callable[[], object]:
    from models import build
    from models.weights import load_weights

    return lambda: load_weights(build("resnet20"), path, network="resnet20")
