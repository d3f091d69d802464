"""Speech as a user types it: prepare a corpus, train on it, transcribe a file."""

import json
import shutil
from pathlib import Path

import pytest

from data.mini import an4
from dsd.runs.record import read, read_examples

SHORT = ["phases.dense.epochs=3"] + [
    f"phases.{name}.epochs=0.05" for name in ("sparse1", "redense1", "sparse2", "redense2")
]


@pytest.fixture
def corpus(miniatures):
    """The miniature AN4."""
    an4.write(miniatures / "an4")
    return miniatures / "an4"


def test_prepare_train_transcribe(dsd, runs, corpus):
    command = ("run", "an4-deepspeech", "--scale", "mini", "--runs", str(runs))
    done = dsd(*command, *SHORT, "task.hidden=32", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    (path,) = (runs / "records").glob("*.json")
    record = read(path)
    assert record.corpus["notes"] == ["miniature: synthetic speech"]
    assert [phase.sparsity for phase in record.phases] == [0, 0.5, 0, 0.25, 0]
    lines = [json.loads(line) for line in (corpus / "test.jsonl").read_text().splitlines()]
    nodes = ["dense", "sparse1", "redense1", "sparse2", "redense2"]
    (last,) = runs.glob("an4-deepspeech.mini/seed0/" + "/".join(f"{node}*" for node in nodes))
    arrays = read_examples(path)
    (hypotheses,) = (arrays[n] for n in arrays if n.endswith("redense2/test/hypothesis"))
    (references,) = (arrays[n] for n in arrays if n.endswith("redense2/test/reference"))
    assert references.tolist() == [line["text"] for line in lines]
    files = [str(corpus / line["audio_filepath"]) for line in lines[:5]]
    done = dsd("transcribe", *files, "--run", str(last))
    assert done.returncode == 0, done.stderr
    expected = [f"{file}\t{text}" for file, text in zip(files, hypotheses.tolist(), strict=False)]
    assert done.stdout.splitlines() == expected
    assert any(hypotheses.tolist())

    done = dsd("transcribe", files[0], "--run", str(runs / "an4-deepspeech.mini"))
    assert done.returncode == 2
    assert "name a phase's folder in it" in done.stderr
    (runs / "damaged.flac").write_bytes(b"fLaC")
    done = dsd("transcribe", str(runs / "damaged.flac"), "--run", str(last))
    assert done.returncode == 2
    assert "damaged.flac" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_prepare(dsd, corpus, tmp_path):
    discs, to = corpus / "discs", tmp_path / "an4"
    done = dsd("prepare", "an4", str(discs), "--to", str(to))
    assert done.returncode == 0, done.stderr
    assert f"next: AN4={to} dsd run" in done.stdout
    for split in ("train", "test"):
        prepared = [root / f"{split}.jsonl" for root in (to, corpus)]
        assert prepared[0].read_bytes() == prepared[1].read_bytes()
    again = dsd("prepare", "an4", str(discs), "--to", str(to))
    assert again.returncode == 2
    assert "train.jsonl: is there already" in again.stderr
    done = dsd("verify", "an4", str(to))  # without the miniature's marker it is a damaged AN4
    assert done.returncode == 2
    assert "130" in done.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("prepare", "wjs", ".", "--to", "x"), "did you mean 'wsj'?"),
        (("prepare", "wsj", "nowhere", "--to", "x"), "nowhere: no such folder"),
        (("prepare", "an4", ".", "--to", "x"), "an4_train.fileids"),
        (("prepare", "wsj", ".", "--to", "x"), "tr_s_wv1.ndx"),
        (("prepare", "librispeech", ".", "--to", "x"), "train"),
        (("run", "an4-deepspeech"), "AN4 is not set"),
        (("transcribe", "x.flac", "--run", "."), "holds no checkpoint"),
    ],
)
def test_mistakes_are_one_line(dsd, tmp_path, words, why):
    shutil.copytree(Path(__file__).parents[2] / "recipes", tmp_path / "recipes")
    done = dsd(*words, cwd=tmp_path, AN4="")
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    if words[0] != "run":  # it explains where to get the corpus
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists()
