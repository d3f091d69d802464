"""A row a claim of the paper on each task, and the losses of every arm."""

from dataclasses import dataclass

from analysis.claims import TASKS, Task
from analysis.groups import Group
from analysis.results import Results
from analysis.statistics import Spread
from analysis.table import INTERVAL, MEAN, P_VALUE, Column, Kind, Table
from analysis.verdicts import group_of, reborn_pct, verdicts
from analysis.words import metric_name, plus_minus, signed_mean

NOTES = (
    "Effect: dsd against the other arm, paired by seed, mean ± sd; positive: as the paper claims. "
    "Interval: 95 %, Student's t over the seeds. Would show: the true effect that so many seeds "
    "show with power 0.8. p: paired t-test; Holm: corrected for all tests of this table.",
    "Confirmed or contradicted: the interval excludes zero, after Holm's correction, too. "
    "Excluded: it has zero in it and lies below the paper's gain. Open: it has both in it. Not "
    "run: see docs/evidence.md.",
)
SIGNED = Kind(lambda value, n: signed_mean(value, n) if value else "-", MEAN.cells)
NUMBER = Kind(lambda value, n: "-" if value is None else f"{value:.{n}f}")


def table(results: Results, ran: bool = False) -> Table:
    """Returns the table of all claims; `ran`: without those that nobody has tested."""
    found = verdicts(results.groups)
    rows = [one for one in found if one.effects] if ran else found
    return Table("What our runs say of the paper's claims", COLUMNS, rows, acted(results))


def acted(results: Results) -> list[str]:
    """Returns how far re-densing acted in each task that was run."""
    said = {}
    for task, group in _ran(results).items():
        if share := reborn_pct(group):
            said[task.name] = f"{task.name} {plus_minus(share, 1)} % (n {share.n})"
    if not said:
        return []
    return [
        "How far re-densing acted, the reborn weights' mean magnitude over the kept weights': "
        f"{'; '.join(said.values())}."
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


COLUMNS = (
    Column("task", "task", value=lambda row: row.task.name),
    Column("claim", "claim", value=lambda row: row.claim.text),
    Column("over", value=lambda row: row.claim.over),
    Column("verdict", "verdict", value=lambda row: row.words),
    Column("effect", "effect", SIGNED),
    Column("metric", "in", value=lambda row: metric_name(row.metric)),
    Column("interval", "95 % interval", INTERVAL),
    Column("n", "n", value=lambda row: len(row.effects)),
    Column("detectable", "would show", NUMBER),
    Column("paper", "the paper's gain", NUMBER, lambda row: row.gain),
    Column("p", "p", P_VALUE),
    Column("holm_p", "Holm", P_VALUE),
)
OF_LOSSES = (
    Column("task", "task", value=lambda row: row.task.name),
    Column("arm", "arm"),
    Column("seeds", "n"),
    Column("train", "training loss", MEAN, lambda row: row.on("train")),
    Column("heldout", "held-out loss", MEAN, lambda row: row.on("heldout")),
    Column("test", "test loss", MEAN, lambda row: row.on("test")),
)
