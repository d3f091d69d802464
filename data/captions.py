"""Images with captions by people, and the words of a captioner, as NeuralTalk has them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

END_WORD = "."  # index 0: starts and ends every caption


@dataclass(frozen=True)
class CaptionSet:
    """The images of one split and their captions, in the split's order."""

    name: str  # "flickr8k/train"
    images: tuple[str, ...] = field(repr=False)  # N file names
    captions: tuple[tuple[tuple[str, ...], ...], ...] = field(repr=False)  # [i][j]: image i's words
    notes: tuple[str, ...] = ()  # what belongs beside every result

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """Returns a SHA-256 in hex of the images' names and all words, in order."""
        digest = hashlib.sha256()
        for image, captions in zip(self.images, self.captions, strict=True):
            lines = [image, *(" ".join(words) for words in captions)]
            digest.update(("\n".join(lines) + "\0").encode())
        return digest.hexdigest()


def tokenize(text: str) -> tuple[str, ...]:
    """Returns a caption's words as NeuralTalk's data have them.

    Lower case; all but ASCII letters, digits and white space is dropped: "A man 's t-shirt ." gives
    a man s tshirt.
    """
    return tuple(re.sub(r"[^a-z0-9\s]", "", text.lower()).split())


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows. Index 0 is both start and end (NeuralTalk, driver.py)."""

    words: tuple[str, ...] = field(repr=False)  # words[0] is END_WORD
    counts: tuple[int, ...] = field(repr=False)  # in the training captions; [0]: the captions

    @classmethod
    def of(cls, train: CaptionSet, threshold: int) -> "Vocabulary":
        """Takes the words that occur `threshold` times or more, the most frequent first."""
        captions = [words for image in train.captions for words in image]
        found = Counter(word for words in captions for word in words if word != END_WORD)
        kept = sorted((-n, word) for word, n in found.items() if n >= threshold)
        words, counts = [word for _, word in kept], [-n for n, _ in kept]
        return cls((END_WORD, *words), (len(captions), *counts))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Returns indices of 1 and above; words it does not know are left out. No end token."""
        return [self._index[word] for word in words if word in self._index]

    def decode(self, indices: Iterable[int]) -> str:
        """Returns the words, joined by spaces; every index 0 is dropped."""
        return " ".join(self.words[i] for i in indices if i)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words) if i}
