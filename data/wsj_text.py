"""WSJ's detailed transcripts (.dot) as words of a to z and the apostrophe.

| in the transcript | what becomes of it |
|---|---|
| `[loud_breath]` `[<door_slam]` `[phone_ring/]`: noises | dropped |
| `.` a pause, `~` a recording cut off | dropped |
| `,COMMA` `"DOUBLE-QUOTE` `(LEFT-PAREN`: punctuation read aloud | comma, double quote, left paren |
| `%PERCENT` `.POINT` | percent, point |
| `U\\. S\\.` `I\\. B\\. M\\.'s`: spelled | u s, i b m's |
| `&` alone | and |
| `<and>`: to be deleted, but spoken; `*word*`: mispronounced | and, word |
| `th:e` `!not`: lengthened, stressed | the, not |
| `co\\-founder` `com-`: hyphens | cofounder, com |
| a grave accent, typed for an apostrophe | ' |

A hyphenated word stays one word, so that a set has as many as in Kaldi, where eval92 has 5643.
What is still no letter or apostrophe, such as a digit, stays and is refused by the preparation.
Sources: LDC's dot_spec.txt, Kaldi's egs/wsj/s5/local/normalize_transcript.pl, and
data/wsj/utils.py of wav2letter.
"""

import re

NOISE = re.compile(r"\[[^\]]*\]")
VERBALISED = re.compile(r"[^\w\s'<*]+[a-z]+(-[a-z]+)*|'(apostrophe|([a-z]+-)*quote)")
DASH = re.compile(r"(?<=\w)(-+dash)\b")  # without a blank before it
MARKS = re.compile(r'[!"#$%&()*+,./:;<=>?@^_{|}~-]')


def normalise(transcript: str) -> str:
    """Returns the words of a transcript, in lower case, with a blank between them."""
    text = NOISE.sub("", transcript.lower().replace("\\", "").replace("`", "'"))
    text = DASH.sub(r" \1", text)
    words = " ".join(map(_spoken, text.split())).split()
    return " ".join(word for word in words if word.strip("'"))


def _spoken(word: str) -> str:
    if word == "&":
        return "and"
    if VERBALISED.fullmatch(word):
        return MARKS.sub(" ", word.removeprefix("'"))
    return MARKS.sub("", word)
