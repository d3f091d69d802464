"""Downloads against a server on this machine: whole, cut off, resumed, wrong, hostile."""

import hashlib
import io
import random
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dsd.errors import UserError
from dsd.suite.download import Download, fetch

IMAGE = random.Random(0).randbytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `content` under any name; the switches make it a worse server."""

    content = b""
    knows_ranges = True
    send_at_most: int | None = None  # then drops the connection
    refuses: int | None = None  # with this status

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []  # the Range header of each request
        self.sent = 0  # bytes

    def download(self, folder: str = "corpus", **changes: object) -> Download:
        url = f"http://127.0.0.1:{self.server_port}/pub/corpus.tgz"
        md5 = hashlib.md5(self.content).hexdigest()
        right = {"url": url, "md5": md5, "bytes": len(self.content), "folder": folder}
        return Download(**{**right, **changes})


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content, asked = self.server.content, self.headers["Range"]
        self.server.ranges.append(asked)
        if self.server.refuses:
            self.send_error(self.server.refuses)
            return
        start = 0
        if asked and self.server.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:][: self.server.send_at_most]
        self.server.sent += len(body)  # first: who has the last byte may look at once
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        server.content = archive({"corpus/train/a.jpg": IMAGE, "corpus/readme.txt": b"hello"})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def archive(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra:
            tar.addfile(member)
    return buffer.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


WHOLE = ["corpus", "corpus/readme.txt", "corpus/train", "corpus/train/a.jpg"]


def test_downloads_and_unpacks(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "not" / "there" / "yet"
    assert fetch(server.download(), root) == root / "corpus"
    assert names(root) == WHOLE
    assert (root / "corpus/train/a.jpg").read_bytes() == IMAGE


def test_does_nothing_when_already_there(server: Server, tmp_path: Path) -> None:
    fetch(server.download(), tmp_path)
    fetch(server.download(), tmp_path)
    assert len(server.ranges) == 1


def test_keeps_a_plain_file_as_it_is(server: Server, tmp_path: Path) -> None:
    assert fetch(server.download(folder=""), tmp_path) == tmp_path / "corpus.tgz"
    assert (tmp_path / "corpus.tgz").read_bytes() == server.content
    assert names(tmp_path) == ["corpus.tgz"]


def test_goes_on_where_the_connection_broke(server: Server, tmp_path: Path) -> None:
    server.send_at_most = 100_000
    for _ in range(2):
        with pytest.raises(UserError, match="run it again, it resumes from there") as caught:
            fetch(server.download(), tmp_path)
        assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["corpus.tgz.part"]
    server.send_at_most = None
    fetch(server.download(), tmp_path)
    assert names(tmp_path) == WHOLE
    assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert server.sent == len(server.content)


def test_starts_over_where_the_server_knows_no_ranges(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.send_at_most = 100_000
    with pytest.raises(UserError):
        fetch(server.download(), tmp_path)
    server.send_at_most = None
    fetch(server.download(), tmp_path)
    assert server.ranges == [None, "bytes=100000-"]
    assert (tmp_path / "corpus/train/a.jpg").read_bytes() == IMAGE


@pytest.mark.parametrize("size_known", [True, False])
def test_a_whole_part_is_unpacked(server: Server, tmp_path: Path, size_known: bool) -> None:
    (tmp_path / "corpus.tgz.part").write_bytes(server.content)
    changes = {} if size_known else {"bytes": None}
    fetch(server.download(**changes), tmp_path)
    assert names(tmp_path) == WHOLE
    assert len(server.ranges) == (0 if size_known else 1)
    assert server.sent == 0


@pytest.mark.parametrize("wrong", [{"md5": "0" * 32}, {"bytes": 5}])
def test_a_wrong_file_is_removed(server: Server, tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"corpus\.tgz: MD5 .* is expected; the file is removed"):
        fetch(server.download(**wrong), tmp_path)
    assert names(tmp_path) == []
    fetch(server.download(), tmp_path)
    assert names(tmp_path) == WHOLE


def test_a_leftover_of_another_file_is_found_out(server: Server, tmp_path: Path) -> None:
    (tmp_path / "corpus.tgz.part").write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match="MD5"):
        fetch(server.download(), tmp_path)
    fetch(server.download(), tmp_path)
    assert names(tmp_path) == WHOLE


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    "content",
    [
        archive({"corpus/a": b"a", "../../escaped": b"x"}),
        archive({"corpus/a": b"a", "/tmp/dsd-test-escaped": b"x"}),
        archive({"corpus/a": b"a"}, link("corpus/link", "../..")),
        archive({"another": b"a"}),
        b"no tar file at all",
    ],
    ids=["dotdot", "absolute", "link", "other-folder", "no-tar"],
)
def test_a_hostile_archive_leaves_nothing(server: Server, tmp_path: Path, content: bytes) -> None:
    server.content = content
    root = tmp_path / "a" / "b"
    with pytest.raises(UserError, match=r"corpus\.tgz\.part: does not unpack to corpus"):
        fetch(server.download(), root)
    assert names(tmp_path) == ["a", "a/b"]
    assert not Path("/tmp/dsd-test-escaped").exists()


def test_what_a_killed_unpacking_left_is_cleared(server: Server, tmp_path: Path) -> None:
    half = tmp_path / ".corpus.unpacking" / "corpus"
    half.mkdir(parents=True)
    (half / "half.jpg").write_bytes(b"half")
    fetch(server.download(), tmp_path)
    assert names(tmp_path) == WHOLE


def test_no_file(server: Server, tmp_path: Path) -> None:
    server.refuses = 404
    with pytest.raises(UserError, match=r"corpus\.tgz: the server answers 404"):
        fetch(server.download(), tmp_path)


def test_no_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the download stopped .*run it again") as caught:
        fetch(server.download(url="http://127.0.0.1:1/corpus.tgz"), tmp_path)
    assert "\n" not in str(caught.value)


def test_progress_counts_the_bytes(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    (tmp_path / "corpus.tgz.part").write_bytes(server.content[:1000])
    fetch(server.download(), tmp_path, lambda done, total: seen.append((done, total)))
    assert seen[0][0] > 1000
    assert seen[-1] == (len(server.content), len(server.content))
