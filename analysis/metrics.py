"""The metrics: name, unit, direction, how examples give them. To add one, add a line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, np.ndarray]  # name -> a value an example
Counts = Callable[[Arrays], list[np.ndarray]]


@dataclass(frozen=True)
class Metric:
    """One metric.

    needs, counts: the per-example arrays that it follows from, and a function that returns n
    columns of counts, then n columns of what each is out of; see `statistics.ratio_metric`.
    """

    name: str
    label: str
    unit: str = ""
    lower_is_better: bool = True
    decimals: int = 2
    needs: tuple[str, ...] = ()
    counts: Counts | None = None

    @property
    def title(self) -> str:
        """Returns the label with its unit, e.g. "WER (%)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def _wrong(held: Arrays) -> list[np.ndarray]:
    # not by the rank: in older records it is 0 for a label that ties with the prediction
    wrong = held["prediction"] != held["label"]
    return [wrong, np.ones_like(wrong)]


def _beyond_five(held: Arrays) -> list[np.ndarray]:
    wrong = held["rank"] > 4
    return [wrong, np.ones_like(wrong)]


def _ngrams(n: int) -> Counts:
    return lambda held: [*held["bleu_counts"].T[:n], *held["bleu_counts"].T[4 : 4 + n]]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("loss", "loss", "nats", decimals=3),
        Metric("perplexity", "perplexity"),
        Metric("error_pct", "error", "%"),
        Metric("top1_error_pct", "top-1 error", "%", needs=("prediction", "label"), counts=_wrong),
        Metric("top5_error_pct", "top-5 error", "%", needs=("rank",), counts=_beyond_five),
        Metric(
            "wer_pct", "WER", "%", needs=("counts",), counts=lambda held: [*held["counts"].T[:2]]
        ),
        Metric(
            "cer_pct", "CER", "%", needs=("counts",), counts=lambda held: [*held["counts"].T[2:]]
        ),
        *(
            Metric(f"bleu{n}", f"BLEU-{n}", "", False, needs=("bleu_counts",), counts=_ngrams(n))
            for n in (1, 2, 3, 4)
        ),
        *(
            Metric(f"standard_bleu{n}", f"standard BLEU-{n}", lower_is_better=False)
            for n in (1, 2, 3, 4)
        ),
        Metric("length_ratio", "length ratio", lower_is_better=False),
        Metric("mean_length", "mean length", "words", lower_is_better=False),
    )
}


def metric(name: str, lower_is_better: bool = True) -> Metric:
    """Returns a metric; one that is not in METRICS is called by its name."""
    return METRICS.get(name) or Metric(name, name, lower_is_better=lower_is_better)
