"""A row a claim of the paper on each task, and the losses of every arm."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.claims import CLAIMS, PLANNED, PRIMARY, TASKS, Task
from analysis.groups import Group
from analysis.results import Results
from analysis.statistics import Spread
from analysis.table import INTERVAL, MEAN, P_VALUE, Column, Kind, Table, text
from analysis.verdicts import (
    AGAINST,
    EXCLUDED,
    FOR,
    Verdict,
    group_of,
    left_out,
    reborn_pct,
    verdicts,
)
from analysis.words import effect, metric_name, plus_minus, signed_mean

NOTES = (
    "Effect: dsd against the other arm, paired by seed, mean ± sd; positive: as the paper claims. "
    "Interval: 95 %, Student's t over the seeds. Would show: the true effect that so many seeds "
    "show with power 0.8. p: paired t-test; Holm: corrected for all tests of this table.",
    "For the gain, for a third: the seeds that show the paper's gain, or a third of it, with power "
    "0.8 at the spread seen, before Holm's correction; with Holm, and in what would change a "
    "verdict: in its first and strictest step. The spread of few seeds is rough, and so are these: "
    "2 seeds may see a thirtieth of it, 3 a sixth, 6 two fifths. Hours more: of training, for the "
    "seeds of the paper's gain, with Holm, that are missing; a task's claims share dsd's runs.",
    "Confirmed or contradicted: the interval excludes zero, after Holm's correction, too. "
    "Excluded: it has zero in it and lies below the paper's gain. Open: it has both in it. "
    "Excluded and less than the paper's gain go by the interval alone, uncorrected. Not run: see "
    "docs/evidence.md.",
)
BY_CLAIM_NOTE = (
    "Effect with its 95 % interval: dsd against the other arm, paired by n seeds; positive: as the "
    "paper claims."
)
TITLE = "What our runs say of the paper's claims"
SIGNED = Kind(lambda value, n: signed_mean(value, n) if value else "-", MEAN.cells)
EFFECT = Kind(lambda row, n: effect(row.effect.mean, row.metric, row.interval, n))
VERDICT = Kind(lambda row, n: f"{row.words}; {EFFECT.text(row, n)}, n {len(row.effects)}")
NUMBER = Kind(lambda value, n: "-" if value is None else f"{value:.{n}f}")


def table(results: Results, ran: bool = False) -> Table:
    """Returns the table of all claims; `ran`: without those that nobody has tested."""
    found = verdicts(results.groups)
    rows = [one for one in found if one.effects] if ran else found
    return Table("All figures of the verdicts", COLUMNS, rows)


def by_claim(results: Results) -> Table:
    """Returns a row for each claim that was tested, with a column for each task."""
    tested = [one for one in verdicts(results.groups) if one.effects]
    rows = sorted(tested, key=lambda row: CLAIMS.index(row.claim))
    return Table(
        TITLE,
        (CLAIM, Column(header="{}", kind=VERDICT, value=lambda row: row)),
        rows,
        acted(results),
        line=lambda row: row.claim,
        across=lambda row: row.task.name,
        in_csv=lambda row: False,
    )


def brief(results: Results) -> Table:
    """Returns the claims that were tested in few columns."""
    rows = [one for one in verdicts(results.groups) if one.effects]
    return Table(TITLE, BRIEF, rows, acted(results), in_csv=lambda row: False)


def in_short(results: Results) -> list[str]:
    """Returns, a sentence each, what is decided and which way the means lie; [] without runs."""
    found = [one for one in verdicts(results.groups) if one.effects]
    if not found:
        return []
    counts = sorted({len(one.effects) for one in found})
    n = " to ".join(map(str, sorted({counts[0], counts[-1]})))
    if any(len(one.effects) < PLANNED for one in found if one.claim.over == PRIMARY):
        n += f"; interim, the protocol plans {PLANNED}"
    undecided = [one.words for one in found if one.kind == "open"]
    rest = {
        "for the claim before the correction alone": undecided.count(FOR),
        "against it before the correction alone": undecided.count(AGAINST),
        "the paper's gain excluded": undecided.count(EXCLUDED),
    }
    rest["open"] = len(undecided) - sum(rest.values())
    others = ", ".join(f"{words} {count}" for words, count in rest.items() if count)
    ahead: list[str] = []
    for claim in CLAIMS:
        mine = [one.effect.mean for one in found if one.claim == claim and one.effect]
        if claim.in_metric and mine:
            tasks = "" if ahead else " tasks"
            ahead.append(f"{claim.text} on {sum(mean > 0 for mean in mine)} of {len(mine)}{tasks}")
    return [
        f"Of {len(found)} comparisons (n {n}), after Holm's correction, confirmed: "
        f"{_named(found, 'better')}.",
        f"Contradicted: {_named(found, 'worse')}.",
        f"The rest: {others or 'none'}.",
        f"By the means alone DSD is {', '.join(ahead)}.",
    ]


def _named(found: Iterable[Verdict], kind: str) -> str:
    """Returns how many verdicts are of a kind, with their names in brackets by task."""
    by_task: dict[str, list[str]] = {}
    for one in found:
        if one.kind == kind:
            by_task.setdefault(one.task.name, []).append(one.claim.text)
    named = "; ".join(f"{task}: {', '.join(claims)}" for task, claims in by_task.items())
    return f"{sum(map(len, by_task.values()))} ({named})" if named else "none"


def acted(results: Results) -> list[str]:
    """Returns how far re-densing acted in each task that was run, and which runs do not count."""
    others = [
        f"{task.name}: {len(group.runs)} runs under other settings, {group.runs[0].path.name} one "
        "of them, enter no verdict: there are more of the other kind."
        for task in TASKS
        for group in left_out(task, results.groups)
    ]
    said = {}
    for task, group in _ran(results).items():
        if share := reborn_pct(group):
            said[task.name] = f"{task.name} {plus_minus(share, 1)} % (n {share.n})"
    if not said:
        return others
    return [
        "How far re-densing acted, the reborn weights' mean magnitude over the kept weights': "
        f"{'; '.join(said.values())}.",
        *others,
    ]


@dataclass(frozen=True)
class Losses:
    """An arm's losses at the end of a task."""

    task: Task
    group: Group
    arm: str
    metric: str = "loss"

    @property
    def seeds(self) -> int:
        """Returns how many runs there are."""
        return len(self.group.arms[self.arm])

    def on(self, split: str) -> Spread | None:
        """Returns the mean loss on a split."""
        return self.group.mean(self.arm, split, "loss")


def losses(results: Results) -> Table:
    """Returns the training, held-out and test loss of every arm."""
    rows = [Losses(task, group, arm) for task, group in _ran(results).items() for arm in group.arms]
    note = (
        "Losses at the end, in nats; training: the mean over the epoch whose weights are kept, as "
        "it went, with dropout where the network has it."
    )
    return Table("Losses of every arm", OF_LOSSES, rows, [note])


def _ran(results: Results) -> dict[Task, Group]:
    found = {task: group_of(task, results.groups) for task in TASKS}
    return {task: group for task, group in found.items() if group}


TASK = Column("task", "task", value=lambda row: row.task.name)
CLAIM = Column("claim", "claim", value=lambda row: row.claim.text)
N = Column("n", "n", value=lambda row: len(row.effects))
COUNT = text("{:,}".format)
COLUMNS = (
    TASK,
    CLAIM,
    Column("over", value=lambda row: row.claim.over),
    Column("verdict", "verdict", value=lambda row: row.words),
    Column("effect", "effect", SIGNED),
    Column("metric", "in", value=lambda row: metric_name(row.metric)),
    Column("interval", "95 % interval", INTERVAL),
    N,
    Column("detectable", "would show", NUMBER),
    Column("paper", "the paper's gain", NUMBER, lambda row: row.gain),
    Column("p", "p", P_VALUE),
    Column("holm_p", "Holm", P_VALUE),
    Column("n_gain", "n for the gain", COUNT, lambda row: row.needed(corrected=False)),
    Column("n_third", "for a third", COUNT, lambda row: row.needed(1 / 3, corrected=False)),
    Column("n_gain_holm", "for the gain, with Holm", COUNT, lambda row: row.needed()),
    Column("more_hours", "hours more", text("{:,.1f}".format), lambda row: row.more_hours),
)
BRIEF = (
    TASK,
    CLAIM,
    Column(header="verdict", value=lambda row: row.words),
    Column(header="effect (95 % interval)", kind=EFFECT, value=lambda row: row),
    N,
    Column(header="what would change it", value=lambda row: row.would_change),
)
OF_LOSSES = (
    TASK,
    Column("arm", "arm"),
    Column("seeds", "n"),
    Column("train", "training loss", MEAN, lambda row: row.on("train")),
    Column("heldout", "held-out loss", MEAN, lambda row: row.on("heldout")),
    Column("test", "test loss", MEAN, lambda row: row.on("test")),
)
