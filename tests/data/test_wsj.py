"""The discs of WSJ in miniature, in any nesting, and what becomes of their transcripts."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import wsj
from data.images import MINIATURE
from data.prepare import prepare
from data.wsj_text import normalise
from tests.data.refused import refused
from tests.data.shorten import shortened

COUNTS = {"train_si284": 4, "dev93": 2, "eval92": 1, "eval93": 1}
INDICES = {  # as the discs have them: disc, file, lines
    "11-13.1/wsj0/doc/indices/train/tr_s_wv1.ndx": (
        ";; File: tr_s_wv1.ndx, updated 04/26/94",
        ";;",
        "11_1_1:wsj0/si_tr_s/01i/01ic0201.wv1",
        "11_1_1:wsj0/si_tr_s/01i/01ic0202.wv1",
        "11_2_1:wsj0/si_tr_s/401/401c0201.wv1",
        "11_3_1:wsj0/si_tr_s/401/401c0201.wv1",
    ),
    "13-34.1/wsj1/doc/indices/si_tr_s.ndx": ("13_1_1: wsj1/si_tr_s/46u/46uc0201.wv1",),
    "13-34.1/wsj1/doc/indices/h1_p0.ndx": (
        "13_16_1: /wsj1/si_dt_20/4k0/4k0c0301.wv1",
        "13_16_1: wsj1/si_dt_20/4k0/4k0c0302.wv1",
    ),
    "11-13.1/wsj0/doc/indices/test/nvp/si_et_20.ndx": ("11_14_1:wsj0/si_et_20/440/440c0401",),
    "13-32.1/wsj1/doc/indices/wsj1/eval/h1_p0.ndx": (
        "13_32_1:wsj1/si_et_h1/wsj64k/4oa/4oac0201.wv1",
    ),
}
RECORDINGS = (
    "11-1.1/wsj0/si_tr_s/01i/01ic0201.wv1",
    "11-1.1/wsj0/si_tr_s/01i/01ic0202.wv1",
    "11-3.1/wsj0/si_tr_s/401/401c0201.wv1",
    "13-1.1/wsj1/si_tr_s/46u/46uc0201.wv1",
    "13-16.1/WSJ1/SI_DT_20/4K0/4K0C0301.WV1",  # this disc came in upper case to some
    "13-16.1/wsj1/si_dt_20/4k0/4k0c0302.wv1",
    "11-14.1/wsj0/si_et_20/440/440c0401.wv1",
    "13-33.1/wsj1/si_et_h1/wsj64k/4oa/4oac0201.wv1",
)
TRANSCRIPTS = {
    "11-4.1/wsj0/transcrp/dots/si_tr_s/01i/01ic0200.dot": (
        "Not [loud_breath] so ,COMMA he said .PERIOD (01ic0201)",
        "U\\. S\\. sales (01ic0202)",
        "never asked for (01ic0203)",
    ),
    "11-4.1/wsj0/transcrp/dots/si_tr_s/401/401c0200.dot": ("the end (401c0201)",),
    "13-34.1/wsj1/trans/wsj1/si_tr_s/46u/46uc0200.dot": ("it isn\\'t (46uc0201) ",),
    "13-34.1/wsj1/trans/wsj1/si_dt_20/4k0/4k0c0300.dot": (
        "Three %PERCENT (4K0C0301)",
        "Four (4k0c0302)",
    ),
    "11-14.1/wsj0/si_et_20/440/440c0400.dot": ("drop by drop (440c0401)",),
    "13-33.1/wsj1/si_et_h1/wsj64k/4oa/4oac0200.dot": ("~ and . so (4oac0201)",),
}
TEXTS = {
    "01ic0201": "not so comma he said period",
    "01ic0202": "u s sales",
    "401c0201": "the end",
    "46uc0201": "it isn't",
    "4k0c0301": "three percent",
    "4k0c0302": "four",
    "440c0401": "drop by drop",
    "4oac0201": "and so",
}


def noise(name):
    return np.random.default_rng(list(name.encode())).integers(-3000, 3000, 700).astype(np.int16)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def discs(tmp_path, monkeypatch):
    """Folders named like the discs, below one."""
    monkeypatch.setattr(wsj, "COUNTS", COUNTS)
    root = tmp_path / "ldc"
    for file, lines in {**INDICES, **TRANSCRIPTS}.items():
        put(root / file, "".join(f"{line}\n" for line in lines).encode())
    for file in RECORDINGS:
        put(root / file, shortened(noise(file.rpartition("/")[2][:8].lower())))
    return root


def merged(discs):
    """Puts all discs into one tree, wsj0 and wsj1."""
    root = discs.with_name("merged")
    for disc in discs.iterdir():
        shutil.copytree(disc, root, dirs_exist_ok=True)
    return [root]


def of_iso_names(discs):
    """Renames all as a disc without extensions to ISO 9660 shows them."""
    root = discs.with_name("iso")
    for path in discs.rglob("*.*"):
        if path.is_file():
            disc, *names = path.relative_to(discs).parts
            put(root.joinpath(disc, *(n.upper() for n in names[:-1]), f"{names[-1].upper()};1"),
                path.read_bytes())  # fmt: skip
    return [root]


def linked(discs):
    """Links to the discs, as Kaldi makes them."""
    links = discs.with_name("links")
    links.mkdir()
    for disc in discs.iterdir():
        (links / disc.name).symlink_to(disc)
    return [links]


LAYOUTS = {
    "one folder above": lambda discs: [discs],
    "each disc": lambda discs: sorted(discs.iterdir()),
    "a disc's wsj0 or wsj1": lambda discs: sorted(discs.glob("*/*")),
    "merged": merged,
    "in merged": lambda discs: sorted(merged(discs)[0].iterdir()),
    "upper case and ;1": of_iso_names,
    "linked": linked,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_nesting_gives_the_sets(discs, layout):
    found = wsj.sources(LAYOUTS[layout](discs))
    assert {split: [s.name for s in members] for split, members in found.items()} == {
        "train_si284": ["01ic0201", "01ic0202", "401c0201", "46uc0201"],
        "dev93": ["4k0c0301", "4k0c0302"],
        "eval92": ["440c0401"],
        "eval93": ["4oac0201"],
    }
    for source in [source for members in found.values() for source in members]:
        assert source.text == TEXTS[source.name]
        assert source.speaker == source.name[:3]
        np.testing.assert_array_equal(source.read(), noise(source.name))


def test_folders_may_be_relative(discs, monkeypatch):
    monkeypatch.chdir(merged(discs)[0] / "wsj0")
    assert len(wsj.sources([Path(), Path("../wsj1"), Path("../WSJ1")])["train_si284"]) == 4


def test_a_test_set_does_without_no_recording(discs):
    (discs / "13-16.1/wsj1/si_dt_20/4k0/4k0c0302.wv1").unlink()
    refused(
        partial(wsj.sources, [discs]),
        "4k0c0302.wv1: is missing",
        "(1 of the 2 recordings of dev93 are)",
    )


def test_prepared_and_verified(discs, tmp_path, monkeypatch):
    root = tmp_path / "prepared"
    prepare("wsj", wsj.sources([discs]), root)
    assert wsj.verify(root) == [
        "wsj/train_si284: 4 utterances, 0.00 hours, 3 speakers, 13 words",
        "wsj/dev93: 2 utterances, 0.00 hours, 1 speakers, 3 words",
        "wsj/eval92: 1 utterances, 0.00 hours, 1 speakers, 3 words",
        "wsj/eval93: 1 utterances, 0.00 hours, 1 speakers, 2 words",
    ]
    monkeypatch.setattr(wsj, "COUNTS", {**COUNTS, "train_si284": 37_416})
    note = ("partial training set: 4 of 37416 utterances",)
    assert wsj.load(root, "train_si284").notes == note
    (root / MINIATURE).touch()
    assert wsj.load(root, "train_si284").notes == ("miniature: synthetic speech",)


@pytest.mark.parametrize(
    ("split", "index"),
    [
        ("dev93", "13-34.1/wsj1/doc/indices/h1_p0.ndx"),
        ("eval92", "11-13.1/wsj0/doc/indices/test/nvp/si_et_20.ndx"),
        ("eval93", "13-32.1/wsj1/doc/indices/wsj1/eval/h1_p0.ndx"),
    ],
)
def test_sets_of_another_size_are_refused(discs, monkeypatch, split, index):
    monkeypatch.setattr(wsj, "COUNTS", {**COUNTS, split: 333})
    sources = partial(wsj.sources, [discs])
    refused(sources, f"{discs / index}: {split} has {COUNTS[split]}", "the corpus has 333")
    (discs / MINIATURE).touch()
    assert len(sources()[split]) == COUNTS[split]


def test_training_does_without_some_discs_but_not_without_all(discs):
    shutil.rmtree(discs / "11-1.1")
    assert [s.name for s in wsj.sources([discs])["train_si284"]] == ["401c0201", "46uc0201"]
    for disc in ("11-3.1", "13-1.1"):
        shutil.rmtree(discs / disc)
    refused(
        partial(wsj.sources, [discs]),
        "wsj0/si_tr_s/01i/01ic0201.wv1: is missing (4 of the 4 recordings of train_si284 are); "
        "name the folder of disc 11-1.1 too",
    )


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("13-16.1", ["wsj1/si_dt_20/4k0/4k0c0301.wv1: is missing", "dev93", "disc 13-16.1"]),
        ("11-14.1", ["wsj0/si_et_20/440/440c0401.wv1: is missing", "eval92", "disc 11-14.1"]),
        ("11-13.1", ["wsj0/doc/indices/train/tr_s_wv1.ndx: is missing", "disc 11-13.1"]),
        ("13-33.1", ["wsj1/si_et_h1/wsj64k/4oa/4oac0201.wv1: is missing", "disc 13-33.1"]),
        ("13-32.1", ["wsj1/doc/indices/wsj1/eval/h1_p0.ndx: is missing", "disc 13-32.1"]),
        ("13-34.1", ["wsj1/doc/indices/si_tr_s.ndx: is missing", "disc 13-34.1"]),
        ("11-4.1", ["01ic0201.wv1: its text, 01ic0200.dot, is missing"]),
    ],
)
def test_missing_discs_are_named(discs, gone, words):
    shutil.rmtree(discs / gone)
    refused(partial(wsj.sources, [discs]), *words)


def test_damaged_lines_are_named(discs):
    sources = partial(wsj.sources, [discs])
    dot = discs / "13-34.1/wsj1/trans/wsj1/si_tr_s/46u/46uc0200.dot"
    dot.write_text("it isn\\'t (46uc0202)\n")
    refused(sources, f"{dot}: has no line of 46uc0201")
    dot.write_text("it isn\\'t 46uc0201\n")
    wsj._transcripts.cache_clear()
    refused(sources, f"{dot}:1: expected a text and (an utterance)")
    index = discs / "13-34.1/wsj1/doc/indices/si_tr_s.ndx"
    index.write_text(";\n\nwsj1/si_tr_s\n")
    refused(sources, f"{index}:3: expected <disc>:<file>")


def test_a_text_without_words_is_named(discs, tmp_path):
    dot = discs / "11-14.1/wsj0/si_et_20/440/440c0400.dot"
    dot.write_text("[door_slam] . 19 (440c0401)\n")
    refused(
        lambda: prepare("wsj", wsj.sources([discs]), tmp_path / "to"), "wsj/eval92: 440c0401: '19'"
    )


# Texts


@pytest.mark.parametrize(
    ("transcript", "text"),
    [
        ("The COMPANY said", "the company said"),
        # punctuation read aloud
        ("yes ,COMMA no .PERIOD", "yes comma no period"),
        ('"DOUBLE-QUOTE no "DOUBLE-QUOTE', "double quote no double quote"),
        ("\\(LEFT\\-PAREN it \\)RIGHT\\-PAREN", "left paren it right paren"),
        ("{LEFT-BRACE }RIGHT-BRACE", "left brace right brace"),
        ("'SINGLE-QUOTE so 'SINGLE-QUOTE", "single quote so single quote"),
        ("'APOSTROPHE 'QUOTE", "apostrophe quote"),
        ("four -HYPHEN year --DASH plan -DASH", "four hyphen year dash plan dash"),
        ("INCORPORATED-DASH and--DASH", "incorporated dash and dash"),
        ("?QUESTION-MARK !EXCLAMATION-POINT", "question mark exclamation point"),
        (":COLON ;SEMI-COLON /SLASH ...ELLIPSIS", "colon semi colon slash ellipsis"),
        ("A\\. \\&AMPERSAND P\\.", "a ampersand p"),
        ("(IN-PARENTHESIS", "in parenthesis"),
        ("ten .POINT five %PERCENT", "ten point five percent"),
        # what is no speech
        ("[loud_breath] so [<door_slam] it [phone_ring/] goes [/phone_ring]", "so it goes"),
        ("go[door_slam]ing [mouth noise]", "going"),
        ("so . it ~ goes ~~", "so it goes"),
        ("[tape_hum]", ""),
        # words with marks
        ("U\\. S\\. and I\\. B\\. M\\.'s", "u s and i b m's"),
        ("Mr. Smith Corp; Inc.", "mr smith corp inc"),
        ("isn\\'t O`Neil 'til the Joneses'", "isn't o'neil 'til the joneses'"),
        ("co\\-founder twenty-one mother-in-law", "cofounder twentyone motherinlaw"),
        ("<and> the *company* th:e !not", "and the company the not"),
        ("com- -ers (fore)cast", "com ers forecast"),
        ("profit & loss", "profit and loss"),
        ("he said ' and `", "he said and"),
        # what stays, to be refused
        ("route 66", "route 66"),
        ("caf\u00e9", "caf\u00e9"),
        ("[unclosed", "[unclosed"),
    ],
)
def test_normalise(transcript, text):
    assert normalise(transcript) == text


@settings(deadline=None)
@given(st.lists(st.sampled_from(["[noise]", "~", ".", "yes", "A\\.", ",COMMA", "isn\\'t", "*so*"])))
def test_normalise_goes_word_by_word_and_only_once(words):
    text = normalise(" ".join(words))
    assert text == " ".join(filter(None, map(normalise, words)))
    assert normalise(text) == text
