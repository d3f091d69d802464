"""`dsd verify --checksums`: every changed byte, missing and new file is named."""

import pytest

from dsd.errors import UserError
from dsd.runs.sums import SUMS, check_sums


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    for name in ("train/a/1.jpg", "train/b/2.jpg", "val/a b/3.jpg", ".DS_Store", "features/x.npy"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 50)
    return folder


def test_written_once_and_compared_then(corpus):
    assert "written, 3 files" in check_sums(corpus, corpus / SUMS)
    assert "3 files, each as it was" in check_sums(corpus, corpus / SUMS)
    (corpus / "features" / "x.npy").write_bytes(b"computed again")
    assert "each as it was" in check_sums(corpus, corpus / SUMS)


def test_sha256sum_reads_it_too(corpus):
    import subprocess

    check_sums(corpus, corpus / SUMS)
    assert subprocess.run(["sha256sum", "--quiet", "-c", SUMS], cwd=corpus).returncode == 0


@pytest.mark.parametrize("file", ["train/a/1.jpg", "val/a b/3.jpg"])
def test_a_change_at_equal_size_is_named(corpus, file):
    check_sums(corpus, corpus / SUMS)
    data = bytearray((corpus / file).read_bytes())
    data[7] ^= 1
    (corpus / file).write_bytes(data)
    with pytest.raises(UserError, match=f"{file}: changed since"):
        check_sums(corpus, corpus / SUMS)


def test_missing_and_new_files_are_named(corpus, tmp_path):
    elsewhere = tmp_path / "sums"
    check_sums(corpus, elsewhere)
    (corpus / "train/c.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"train/c\.jpg: new since .*\(1 files are\)"):
        check_sums(corpus, elsewhere)
    (corpus / "train/b/2.jpg").unlink()
    with pytest.raises(UserError, match=r"train/b/2\.jpg: missing since"):
        check_sums(corpus, elsewhere)


def test_links_are_followed_and_circles_left(corpus, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "4.jpg").write_bytes(b"4")
    (corpus / "linked").symlink_to(tmp_path / "disk")
    (corpus / "circle").symlink_to(corpus)
    assert "written, 4 files" in check_sums(corpus, tmp_path / "sums")


@pytest.mark.parametrize("text", ["", "abc", "0" * 64, "x  y\n"])
def test_damaged_sums_are_named(corpus, text):
    (corpus / SUMS).write_text(text)
    with pytest.raises(UserError, match="SHA256SUMS: damaged"):
        check_sums(corpus, corpus / SUMS)


def test_the_command(dsd, own_suite):
    (own_suite / "points.txt").write_text("1 2")
    words = ["verify", "points", str(own_suite / "recipes"), "--checksums"]
    sums = ["--sums", str(own_suite / "sums")]
    assert "written" in dsd(*words, *sums, cwd=own_suite).stdout
    (own_suite / "recipes" / "points" / "more").write_text("")
    done = dsd(*words, *sums, cwd=own_suite)
    assert done.returncode == 2
    assert "points/more: new since" in done.stderr
