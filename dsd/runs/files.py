"""Whole files: written atomically, with checksums; a full disk in one line; a lock on a folder."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from dsd.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the quota, the largest file allowed


@contextmanager
def whole_file(path: Path, sync: bool = True) -> Iterator[IO[bytes]]:
    """Gives a file to write that becomes `path`: there is the old one or the new one, never half.

    Nothing remains of it after an error. A link at `path` is replaced, never followed. sync:
    whether the file must outlive a power cut from then on. Raises UserError when the disk is full.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.replace(path)
        if sync:
            _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if fault := full_disk(error):
            raise no_space(path, fault) from None
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, as `whole_file` does."""
    with whole_file(path) as file:
        file.write(data)


def full_disk(error: BaseException | None) -> OSError | None:
    """Returns the error of the system, behind this one, that says that there is no space left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__  # torch raises its own error after it
    return None


def no_space(path: Path, error: OSError) -> UserError:
    """Returns the line that says which file found no space, and how much is left."""
    with suppress(OSError):
        free = shutil.disk_usage(path.parent).free / 1e6
        return UserError(
            f"{path}: cannot be written ({error.strerror}; {free:.1f} MB are free there); make "
            "room and run the same command again, what was finished is kept"
        )
    return UserError(f"{path}: cannot be written ({error.strerror}); make room, then run it again")


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(folder: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Locks a folder for this process; the system unlocks it when the process ends.

    wait: is called, as often as it takes, while another process holds it. Raises UserError at once
    without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    # Not through a link: what it points at would be emptied.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with open(descriptor, "r+") as file:
        while not _locked(file):
            if wait:
                wait()
                continue
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"{folder}: in use by process {holder}; wait for it or stop it, then run again"
            )
        with suppress(OSError):  # a full disk: the lock holds without the number
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not inherited by data workers
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
