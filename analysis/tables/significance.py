"""Every comparison of dsd with the other arms: gains, intervals, tests, and what they show."""

from analysis.groups import Group
from analysis.results import Results
from analysis.significance import Comparison, comparisons, sentence
from analysis.sweeps import borrowed
from analysis.table import INTERVAL, P_VALUE, SIGNED, Column, Table, number
from analysis.tables.notes import title
from analysis.tables.rows import ARM, CONDITION, METRIC, SPLIT, decimals
from analysis.words import metric_name, split_name

NOTES = (  # beneath the tables
    "n: seeds that both arms have. Gain: positive is better; mean and sample standard deviation of "
    "the differences between runs of the same seed, which share their dense phase. Relative: in "
    "percent of the other arm's mean.",
    "95 % paired t and p paired: Student's t over these differences. A difference is shown where "
    "the interval excludes 0. Where all differences are equal there is no spread to judge by, so "
    "no interval and no difference shown.",
    "95 % bootstrap over seeds: percentiles of 10 000 resampled means. Over so few seeds it is too "
    "narrow (none of its draws leaves the range of the seeds), so no verdict rests on it.",
    "95 % over test examples: percentiles of the gain over 10 000 resampled test sets, the same "
    "for all runs (paired bootstrap: Koehn 2004 for BLEU, Bisani and Ney 2004 for WER). It spans "
    "the choice of test examples, not the training's randomness; the other intervals do the "
    "reverse.",
    "p Welch and p unpaired: two-sided, all seeds of both arms taken as independent; unpaired is "
    "Student's t-test with equal variances, the paper's on CIFAR-10.",
    "Effect size: Cohen's d_z, the mean of the differences over their standard deviation (Lakens "
    "2013, doi:10.3389/fpsyg.2013.00863); few seeds overstate it.",
    "Epochs: of dsd and of the other arm, in all. The number of comparisons is not corrected for.",
)


def tables(results: Results) -> list[Table[Comparison]]:
    """Returns a table for each group where dsd shares a seed with another arm; no miniatures."""
    found = [(group, comparisons(group)) for group in results.completed]
    return [_table(group, compared) for group, compared in found if compared]


def _table(group: Group, found: list[Comparison]) -> Table[Comparison]:
    notes = (*map(sentence, found), *borrowed(group))
    name = f"{title(group)}: dsd's gain in {metric_name(group.first.metric)}"
    return Table(name, COLUMNS, found, notes)


_C = Column[Comparison]
COLUMNS = (
    *CONDITION,
    METRIC,
    SPLIT,
    _C("", "test set", lambda row: split_name(row.split)),
    ARM,
    _C("over", "against", lambda row: row.over),
    _C("verdict", None, lambda row: row.verdict),
    _C("", "n", lambda row: row.gain.n),
    _C("gain", "gain ± sd", lambda row: row.gain, SIGNED, decimals),
    _C("relative_pct", "relative", lambda row: row.relative_pct, number("{:+z.1f} %")),
    _C("paired_t", "95 % paired t", lambda row: row.interval, INTERVAL, decimals),
    _C(
        *("bootstrap_seeds", "95 % bootstrap over seeds", lambda row: row.bootstrap),
        *(INTERVAL, decimals),
    ),
    _C(
        *("bootstrap_examples", "95 % over test examples", lambda row: row.examples),
        *(INTERVAL, decimals),
    ),
    _C("paired_p", "p paired", lambda row: row.paired_p, P_VALUE),
    _C("welch_p", "p Welch", lambda row: row.welch_p, P_VALUE),
    _C("student_p", "p unpaired", lambda row: row.student_p, P_VALUE),
    _C("effect_dz", "effect size", lambda row: row.effect, number("{:+z.2f}")),
    _C("arm_seeds", None, lambda row: row.n[0]),
    _C("over_seeds", None, lambda row: row.n[1]),
    _C("", "epochs", lambda row: "{:g}, {:g}".format(*row.epochs)),
    _C("arm_epochs", None, lambda row: row.epochs[0]),
    _C("over_epochs", None, lambda row: row.epochs[1]),
)
