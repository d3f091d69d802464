"""The page's glossary, and links to it from the words it explains."""

import re
from collections.abc import Mapping
from html import unescape
from typing import NamedTuple

from markupsafe import Markup


class Term(NamedTuple):
    """A term, what else it is called on the page (a regular expression), and what it means."""

    name: str
    also: str
    means: str


TERMS = (
    Term("DSD", "", "Dense-sparse-dense training: train, prune and retrain, restore and retrain."),
    Term(
        "sparsity",
        "sparsities|sparse",
        "The share of a layer's weights that are held at zero: at 30 %, seven of ten are trained.",
    ),
    Term(
        "mask",
        "masks",
        "Which weights of a layer are kept. DSD keeps those of largest magnitude, chosen once when "
        "the sparse phase begins, and sets the others to zero after every step.",
    ),
    Term(
        "re-densing",
        "re-dense|re-densed|dropping the mask",
        "The last phase: the mask is dropped, the pruned weights start from zero, all are trained.",
    ),
    Term(
        "reborn weights",
        "reborn",
        "Weights that were pruned and are trained again. Their mean magnitude over that of the "
        "kept weights says how far re-densing acted: near 0 % the network is still the sparse one.",
    ),
    Term(
        "matched fine-tuning",
        "finetune",
        "The control: the same phases, epochs and rates as DSD's, without a mask. What DSD gains "
        "over it, the longer training alone does not give.",
    ),
    Term(
        "fine-tuning at its own best rate",
        "finetune_best",
        "As many epochs without a mask, at the rate that did best on held-out data, so that a "
        "schedule chosen for DSD does not decide.",
    ),
    Term("baseline", "", "The dense phase alone: the network before anything is pruned."),
    Term(
        "random mask",
        "",
        "A mask of the same sparsity whose weights are drawn, not chosen: does the choice matter?",
    ),
    Term("seed", "seeds", "A number that fixes a run's randomness; each seed is one repetition."),
    Term(
        "n",
        "",
        "The number of seeds that both arms have. One seed leaves no spread, so no verdict.",
    ),
    Term(
        "paired",
        "",
        "Two arms are compared seed by seed: they share the dense phase, so its luck cancels out.",
    ),
    Term(
        "effect",
        "effects|gain|gains",
        "How much better DSD is than the other arm, in the metric's unit; positive: DSD is better.",
    ),
    Term(
        "interval",
        "intervals",
        "95 % confidence interval of the mean effect by Student's t: in repeated experiments, 95 "
        "of 100 such intervals hold the true effect. With zero in it, nothing is shown.",
    ),
    Term(
        "p",
        "p values?",
        "How often a difference at least as large would turn up if there were none.",
    ),
    Term(
        "Holm",
        "Holm's (?:method|correction)",
        "Holm's correction: who tests often finds something by chance. It raises the p values of "
        "a page's tests so that all of them together have a 5 % chance of one false finding.",
    ),
    Term(
        "power",
        "",
        "The chance that a true effect of a given size is shown. The usual 0.8 is used here.",
    ),
    Term(
        "core-hours",
        "",
        "Hours of one processor core, added up from the training times in the records.",
    ),
    Term(
        "held-out",
        "",
        "Data set aside from training to choose rates and epochs; test data choose nothing.",
    ),
    Term("loss", "losses", "What training minimises, in nats an example; lower is better."),
    Term("perplexity", "", "The exponential of the loss a word: lower is better."),
    Term(
        "top-1 error",
        "",
        "The percentage of test images whose first guess is not their class; lower is better.",
    ),
    Term(
        "top-5 error",
        "",
        "The percentage of test images whose class is not among the five likeliest.",
    ),
    Term(
        "WER",
        "",
        "Word error rate: words wrong, missing or too many, in percent of the words spoken; lower "
        "is better.",
    ),
    Term("CER", "", "Character error rate: letters wrong, missing or too many, in percent."),
    Term(
        "BLEU-4",
        "BLEU-[123]",
        "How many sequences of one to four words a caption shares with those that people wrote, "
        "from 0 to 100; higher is better. Here without the penalty for short captions, as in the "
        "paper.",
    ),
    Term(
        "beam",
        "beams",
        "How many partial sentences are kept while a caption is made word by word.",
    ),
)


def anchor(term: Term) -> str:
    """Returns what a link to the term ends with."""
    return "term-" + re.sub(r"\W+", "-", term.name.lower())


def linked(text: object) -> Markup:
    """Returns a text, escaped, with a link at the first mention of each term."""
    words, made, end = str(text), Markup(), 0
    seen: set[str] = set()
    for found in _ANY.finditer(words):
        term = _called(found[0])
        made += words[end : found.start()]
        link = Markup('<a class="term" href="#{}">{}</a>').format(anchor(term), found[0])
        made += found[0] if term.name in seen else link
        end = found.end()
        seen.add(term.name)
    return made + words[end:]


def mentioned(page: str) -> Mapping[str, Term]:
    """Returns {anchor: term} of the terms that a page mentions, in alphabetical order."""
    words = unescape(re.sub(r"<script.*?</script>|<svg.*?</svg>|<[^>]*>", " ", page, flags=re.S))
    found_terms = {_called(found[0]) for found in _ANY.finditer(words)}
    return {anchor(one): one for one in sorted(found_terms, key=lambda one: one.name.lower())}


def _called(words: str) -> Term:
    return next(term for term in TERMS if re.fullmatch(_names(term), words, re.I))


def _names(term: Term) -> str:
    return "|".join(filter(None, [term.also, re.escape(term.name)]))


_ANY = re.compile(  # the longest name first
    rf"(?<![\w-])(?:{'|'.join(sorted((_names(term) for term in TERMS), key=len, reverse=True))})"
    r"(?![\w-])",
    re.I,
)
