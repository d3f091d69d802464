"""BLEU: the line that multi-bleu.perl printed, counts by hand, and what holds for any captions."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dsd.errors import UserError
from recipes.metrics.bleu import counts, scores, standard
from recipes.metrics.commands import score

GOLDEN = json.loads((Path(__file__).parent / "multibleu.json").read_text())

words = st.lists(st.sampled_from("abcd"), max_size=9)
references = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), min_size=1)
pairs = st.lists(st.tuples(words, references), min_size=1, max_size=6)


def table(found) -> np.ndarray:
    return np.array([counts(*pair) for pair in found])


@pytest.mark.parametrize(
    ("hypothesis", "given_references", "expected"),
    [
        # "the" counts twice: as often as in the reference that has it most often, not in all
        ("the the the", ["the cat", "the dog the"], [2, 0, 0, 0, 3, 2, 1, 0, 3, 3]),
        ("a b c d e", ["a b c d", "b c d e"], [5, 4, 2 + 1, 2, 5, 4, 3, 2, 5, 4]),
        ("a b", ["a b", "b a"], [2, 1, 0, 0, 2, 1, 0, 0, 2, 2]),
        ("a b c", ["x y z w", "x y"], [0, 0, 0, 0, 3, 2, 1, 0, 3, 2]),  # 2 and 4 are as close
        ("", ["a b", "a"], [0] * 8 + [0, 1]),
        ("a", [""], [0, 0, 0, 0, 1, 0, 0, 0, 1, 0]),
        ("A b", ["a b"], [1, 0, 0, 0, 2, 1, 0, 0, 2, 2]),  # as they stand: no lower case
    ],
)
def test_counts_by_hand(hypothesis, given_references, expected):
    assert counts(hypothesis.split(), [text.split() for text in given_references]) == expected


def test_scores_by_hand():
    found = scores(np.array([[4, 2, 1, 0, 8, 4, 4, 2, 8, 10], [4, 0, 0, 0, 4, 4, 0, 0, 4, 5]]))
    assert found == pytest.approx(
        {
            "bleu1": 100 * 8 / 12,
            "bleu2": 100 * (8 / 12 * 2 / 8) ** (1 / 2),
            "bleu3": 100 * (8 / 12 * 2 / 8 * 1 / 4) ** (1 / 3),
            "bleu4": 0.0,
            "length_ratio": 12 / 15,
        }
    )


@pytest.mark.parametrize("rows", [[], np.zeros((2, 10), dtype=int), table([([], [["a"]])])])
def test_nothing_said_scores_zero_and_never_nan(rows):
    assert set(scores(rows).values()) == {0.0}


def test_the_standard_bleu_of_nothing_and_of_short_captions():
    assert set(standard([], []).values()) == {0.0}
    assert set(standard([[]], [[["a"]]]).values()) == {0.0}
    short = standard([["a"]], [[["a"]]])
    assert list(short.values()) == [100.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="1 hypotheses, 0 lists"):
        standard([["a"]], [])


def test_the_standard_bleu_is_penalised_for_brevity():
    hypothesis, reference = list("abcd"), list("abcde")
    penalty = np.exp(1 - 5 / 4)
    assert scores(table([(hypothesis, [reference])]))["bleu4"] == 100
    assert standard([hypothesis], [[reference]])["standard_bleu4"] == pytest.approx(100 * penalty)


@given(pairs)
def test_every_score_is_a_percentage(found):
    ours, usual = scores(table(found)), standard(*zip(*found, strict=True))
    ours.pop("length_ratio")
    assert all(0 <= value <= 100 + 1e-9 for value in (*ours.values(), *usual.values()))


@given(st.lists(st.sampled_from("abcd"), min_size=4), references)
def test_a_reference_itself_scores_100(hypothesis, others):
    found = scores(table([(hypothesis, [*others, hypothesis])]))
    assert found == {"bleu1": 100, "bleu2": 100, "bleu3": 100, "bleu4": 100, "length_ratio": 1}


@given(words, references, references)
def test_more_references_never_lower_the_matches(hypothesis, some, more):
    few, many = counts(hypothesis, some), counts(hypothesis, some + more)
    assert all(a <= b for a, b in zip(few[:4], many[:4], strict=True))
    assert few[4:9] == many[4:9]


@given(pairs, pairs)
def test_counts_of_parts_add_up_to_the_whole(left, right):
    whole = scores(table(left + right))
    assert scores(np.stack([table(left).sum(0), table(right).sum(0)])) == whole
    assert scores(table(right + left)) == whole


@given(
    st.lists(
        st.lists(st.sampled_from("abcd"), min_size=4, max_size=9).flatmap(
            lambda said: st.tuples(
                st.just(said),
                st.lists(st.lists(st.sampled_from("abcd"), max_size=len(said)), min_size=1),
            )
        ),
        min_size=1,
        max_size=5,
    )
)
def test_nltk_agrees_where_it_can(found):
    """No caption shorter than four words, none shorter than its references: no penalty."""
    ours, usual = scores(table(found)), standard(*zip(*found, strict=True))
    for n in (1, 2, 3, 4):
        assert ours[f"bleu{n}"] == pytest.approx(usual[f"standard_bleu{n}"], abs=1e-6)


def bleu(hypotheses: Path, *references: Path):
    given_references = [word for path in references for word in ("--references", str(path))]
    return CliRunner().invoke(score, ["bleu", "--hypotheses", str(hypotheses), *given_references])


@pytest.fixture
def golden(tmp_path: Path) -> list[Path]:
    """The golden hypotheses and their five references as files."""
    columns = [GOLDEN["hypotheses"], *zip(*GOLDEN["references"], strict=True)]
    paths = [tmp_path / f"{i}.txt" for i in range(len(columns))]
    for path, lines in zip(paths, columns, strict=True):
        path.write_text("".join(f"{line}\n" for line in lines))
    return paths


def test_the_command_prints_the_scripts_line_whole(golden):
    done = bleu(*golden)
    assert done.exit_code == 0, done.exception
    script, usual = done.stdout.splitlines()
    assert script == GOLDEN["printed"]
    bp = np.exp(1 - 1246 / 1078)
    assert usual.startswith(f"standard BLEU = {81.6327 * bp:.1f}/")
    assert usual.endswith("length ratio 0.865")


def test_line_ends_of_every_kind(golden):
    expected = bleu(*golden).stdout
    raw = golden[0].read_bytes()
    for text in (raw.removesuffix(b"\n"), raw.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + raw):
        golden[0].write_bytes(text)
        assert bleu(*golden).stdout == expected


def test_a_line_may_be_empty_and_counts(tmp_path):
    spoken, written = tmp_path / "h", tmp_path / "r"
    spoken.write_bytes(b"a b\n\n")
    written.write_bytes("a b\nä\N{LINE SEPARATOR}c\n".encode())
    assert "ratio=0.667, hyp_len=2, ref_len=3" in bleu(spoken, written).stdout
    spoken.write_bytes(b"\n")
    written.write_bytes(b"\n")
    assert "0.0/0.0/0.0/0.0 (BP=1.000, ratio=0.000, hyp_len=0" in bleu(spoken, written).stdout


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"a\nb\nc\n", r"r\.txt: has 3 lines, .*h\.txt has 2; give both a line"),
        (b"a\nb\n\n", r"r\.txt: has 3 lines"),
        (b"", r"r\.txt: is empty"),
        (b"a\n\xff\n", r"r\.txt: byte 2 is not UTF-8"),
        (None, r"r\.txt: cannot be read \(No such file"),
    ],
)
def test_files_that_cannot_be_scored(tmp_path, text, fault):
    spoken, written = tmp_path / "h.txt", tmp_path / "r.txt"
    spoken.write_bytes(b"a\nb\n")
    if text is not None:
        written.write_bytes(text)
    with pytest.raises(UserError, match=fault):
        raise bleu(spoken, spoken, written).exception
    if text != b"a\nb\nc\n":
        assert isinstance(bleu(written, spoken).exception, UserError)
