"""The benchmark of speech, on some noises: its times mean nothing, its padding is exact."""

import pytest

from benchmarks import speech
from data.spectrogram import frames


@pytest.fixture(scope="module")
def noises(tmp_path_factory, speech_set):
    lengths = [4000 + 160 * i for i in range(20)]
    return speech_set(tmp_path_factory.mktemp("speech") / "corpus", lengths)


@pytest.mark.parametrize("files", [False, True])
def test_real_time(noises, files):
    case = speech.features_case(noises, rounds=2, files=files)
    assert case["least"] == 500
    assert case["seconds_of_speech"] == pytest.approx(
        sum(u.seconds for u in noises.utterances), 0.1
    )
    for ratios in case["ratios"].values():
        assert ratios["measured"]["n"] == ratios["control"]["n"] == 2
        assert ratios["measured"]["min"] > 1


def test_padding(noises):
    case = speech.padding_case(noises, rounds=3)
    counts = sorted(frames(u.samples) for u in noises.utterances)
    padded = 16 * counts[15] + 4 * counts[19]
    assert case["ratios"]["cpu"]["control"]["median"] == pytest.approx(padded / sum(counts), 1e-4)
    assert case["ratios"]["cpu"]["measured"]["n"] == 3
    assert case["target"] == pytest.approx(1 / 0.9, 1e-3)


def test_cases(tmp_path, noises, monkeypatch):
    monkeypatch.setattr(speech, "load", lambda root, split: noises)
    assert len(list(speech.cases(tmp_path, rounds=1))) == 3
