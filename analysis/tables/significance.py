"""Every comparison of dsd with the other arms: gains, intervals, tests, and what they show."""

from collections.abc import Collection, Sequence

from analysis.arms import arm as arm_of
from analysis.groups import Group
from analysis.results import Results
from analysis.significance import INTERVALS, SHOWN, Comparison, comparisons, sentence
from analysis.sweeps import borrowed
from analysis.table import INTERVAL, P_VALUE, SIGNED, Column, Kind, Table, text
from analysis.tables.notes import title
from analysis.tables.rows import ARM, CONDITION, METRIC, SPLIT
from analysis.words import effect, metric_name, split_name

NOTES = (  # beneath the tables
    "n: seeds that both arms have. Gain: positive is better; mean and sample standard deviation of "
    "the differences between runs of the same seed, which share their dense phase. Where all seeds "
    "branch off one dense phase (CIFAR-10), that network is the baseline of each. Relative: in "
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


def tables(results: Results) -> list[Table]:
    """Returns a table for each group where dsd shares a seed with another arm; no miniatures."""
    found = [(group, comparisons(group)) for group in results.completed]
    return [_table(group, compared) for group, compared in found if compared]


def brief(groups: Sequence[Group], against: Collection[str] = ()) -> Table:
    """Returns dsd against every other arm (or some alone) in few columns: what each shows.

    Of several groups, each is named.
    """
    rows = [one for group in groups for one in comparisons(group)]
    rows = [one for one in rows if not against or one.over in against]
    columns = [
        *([Column(header="run", value=lambda row: title(row.group))] if len(groups) > 1 else []),
        Column(header="DSD against", value=lambda row: arm_of(row.over).label),
        *([TEST_SET] if any(len(group.splits) > 1 for group in groups) else []),
        Column(header="verdict", value=lambda row: SHOWN.get(row.verdict, row.verdict)),
        Column(header="gain (95 % interval)", kind=EFFECT, value=lambda row: row),
        N,
        Column(header="epochs of each", value=lambda row: "{:g}, {:g}".format(*row.epochs)),
    ]
    return Table("What the comparisons show", columns, rows, [INTERVALS])


def _table(group: Group, found: list[Comparison]) -> Table:
    notes = (*map(sentence, found), *borrowed(group))
    name = f"{title(group)}: dsd's gain in {metric_name(group.first.metric)}"
    return Table(name, COLUMNS, found, notes)


EFFECT = Kind(lambda row, n: effect(row.gain.mean, row.metric, row.interval, n))
TEST_SET = Column(header="test set", value=lambda row: split_name(row.split))
N = Column(header="n", value=lambda row: row.gain.n)
COLUMNS = (
    *(*CONDITION, METRIC, SPLIT),
    TEST_SET,
    *(ARM, Column("over", "against"), Column("verdict")),
    N,
    Column("gain", "gain ± sd", SIGNED),
    Column("relative_pct", "relative", text("{:+z.1f} %".format)),
    Column("paired_t", "95 % paired t", INTERVAL, lambda row: row.interval),
    Column("bootstrap_seeds", "95 % bootstrap over seeds", INTERVAL, lambda row: row.bootstrap),
    Column("bootstrap_examples", "95 % over test examples", INTERVAL, lambda row: row.examples),
    Column("paired_p", "p paired", P_VALUE),
    Column("welch_p", "p Welch", P_VALUE),
    Column("student_p", "p unpaired", P_VALUE),
    Column("effect_dz", "effect size", text("{:+z.2f}".format), lambda row: row.effect),
    Column(header="epochs", value=lambda row: "{:g}, {:g}".format(*row.epochs)),
    Column("arm_seeds", value=lambda row: row.n[0]),
    Column("over_seeds", value=lambda row: row.n[1]),
    Column("arm_epochs", value=lambda row: row.epochs[0]),
    Column("over_epochs", value=lambda row: row.epochs[1]),
)
