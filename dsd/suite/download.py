"""Downloads that resume, are checked against an MD5, and appear whole or not at all."""

import hashlib
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from dsd.errors import UserError

Progress = Callable[[int, int | None], None]  # (bytes so far, bytes in all where known)
CHUNK = 1 << 18  # bytes
TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """One file to fetch: its address, its MD5 in hex and, where known, its size in bytes.

    `folder` is the folder that the archive unpacks to; without it the file is kept as it is.
    """

    url: str
    md5: str
    bytes: int | None = None
    folder: str = ""


def fetch(download: Download, root: Path, progress: Progress | None = None) -> Path:
    """Downloads, checks and unpacks a file into `root`; returns the folder (or file) there.

    Does nothing if it is there already. An interrupted download leaves `<name>.part`, and the next
    call resumes from its end. Raises UserError when the network fails, and when size or checksum
    differ or the archive holds more than plain files and folders (the file is then removed).
    """
    name = unquote(urlsplit(download.url).path).rpartition("/")[2]
    target = root / (download.folder or name)
    if target.exists():
        return target
    part = root / f"{name}.part"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _receive(download, part, progress)
        _check(download, part)
        if download.folder:
            _unpack(part, target)
            part.unlink()
        else:
            part.rename(target)
    except OSError as error:
        raise UserError(
            f"{error.filename or part}: {error.strerror or error}; fix that and run it again"
        ) from None
    return target


def _receive(download: Download, part: Path, progress: Progress | None) -> None:
    """Appends to `part` what is missing, or downloads it all again from a server without ranges."""
    done = part.stat().st_size if part.exists() else 0
    if done and done == download.bytes:
        return
    request = Request(download.url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            if response.status != 206:
                done = 0
            length = response.headers["Content-Length"]
            total = done + int(length) if length else download.bytes
            with part.open("ab" if done else "wb") as file:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, total)
        if total is not None and done < total:
            raise ConnectionError(f"the connection ended after {done} of {total} bytes")
    except HTTPError as error:
        if error.code == 416:  # nothing is left after the end of `part`: the check decides
            return
        raise UserError(
            f"{download.url}: the server answers {error.code} ({error.reason}); try again later"
        ) from None
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise UserError(
            f"{download.url}: the download stopped ({why}); run it again, it resumes from there"
        ) from None


def _check(download: Download, part: Path) -> None:
    """Removes `part` and raises UserError unless size and MD5 are the expected ones."""
    size = part.stat().st_size
    with part.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 == download.md5 and download.bytes in (None, size):
        return
    part.unlink()
    want = f"MD5 {download.md5}" + (f" and {download.bytes} bytes" if download.bytes else "")
    raise UserError(
        f"{download.url}: MD5 {md5} and {size} bytes, where {want} is expected; "
        "the file is removed, run it again for another download"
    )


def _unpack(archive: Path, target: Path) -> None:
    """Unpacks a tar file beside `target` and moves the folder there when it is complete."""
    # Not tarfile's filter="data": Python 3.11 has it only from 3.11.4 on.
    work = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                _extract(tar, member, work)
        (work / target.name).rename(target)
    except (tarfile.TarError, EOFError, FileNotFoundError) as error:
        archive.unlink()
        raise UserError(
            f"{archive.name}: does not unpack to {target.name} ({error}); the file is removed"
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Writes one member below `folder`. Raises TarError for links, devices and paths outside."""
    path = folder / member.name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise tarfile.TarError(f"{member.name} lies outside of it")
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(member) if member.isfile() else None
    if source is None:
        raise tarfile.TarError(f"{member.name} is no plain file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("wb") as copy:
        shutil.copyfileobj(source, copy)
