"""What the runs say of each of the paper's claims, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis import more_seeds, statistics
from analysis.cache import remember
from analysis.claims import CLAIMS, TASKS, Claim, Task
from analysis.groups import Group, paired
from analysis.more_seeds import Cost
from analysis.power import detectable
from analysis.statistics import Interval, Spread, spread

UNKNOWN = {  # by the seeds seen; the spread of two says next to nothing
    0: "unknown: needs three seeds",
    1: "unknown: needs two more seeds",
    2: "unknown: needs a third seed",
}
FOR = "for it, but not after Holm's correction"
AGAINST = "against it, but not after Holm's correction"
EXCLUDED = "the paper's gain is excluded"


@dataclass(frozen=True)
class Verdict:
    """One claim on one task; effects are in the metric's unit, positive: the claim holds."""

    task: Task
    claim: Claim
    group: Group | None  # None: nobody ran the task
    effects: tuple[float, ...]  # a seed each
    holm_p: float | None = None  # over all verdicts of the page
    tests: int = 1  # so many have a p

    @property
    def metric(self) -> str:
        """Returns the metric that tests the claim."""
        return self.claim.measure[0] if self.claim.measure else self.task.metric

    @property
    def effect(self) -> Spread | None:
        """Returns the mean effect."""
        return spread(self.effects) if self.effects else None

    @property
    def interval(self) -> Interval | None:
        """Returns its 95 % interval, by Student's t over the seeds."""
        return statistics.t_interval(self.effects) if self.effects else None

    @property
    def p(self) -> float | None:
        """Returns the p of the paired t-test."""
        return statistics.paired_p(self.effects) if self.effects else None

    @property
    def detectable(self) -> float | None:
        """Returns the true effect that so many seeds show with power 0.8."""
        if not self.effects or not statistics.varies(self.effects):
            return None
        _, sd, n = spread(self.effects)
        return remember(["detectable", sd, n], lambda: detectable(sd, n)) if sd else None

    @property
    def gain(self) -> float | None:
        """Returns the paper's gain, where the claim is about the metric."""
        return self.task.gain if self.claim.in_metric else None

    @property
    def size(self) -> float | None:
        """Returns the effect to plan seeds for: the paper's gain on the task, if in its metric."""
        return None if self.claim.measure else self.task.gain

    def needed(self, share: float = 1.0, *, corrected: bool = True) -> int | None:
        """Returns the seeds that show so much of the paper's gain with power 0.8.

        From the spread seen; None where that is unknown, no gain is given, or no number is enough.
        corrected: in Holm's first and strictest step, which no verdict needs more seeds for.
        """
        if self.size is None or self.detectable is None or self.effect is None:
            return None
        alpha = 0.05 / self.tests if corrected else 0.05
        return more_seeds.needed(self.effect.sd or 0.0, share * self.size, alpha)

    @property
    def cost(self) -> Cost | None:
        """Returns what one more seed of both arms costs."""
        return more_seeds.cost(self.group, ("dsd", self.claim.over)) if self.group else None

    @property
    def more_hours(self) -> float | None:
        """Returns the hours for the seeds of the paper's gain that are missing, 0 for none."""
        count, cost = self.needed(), self.cost
        return max(0, count - len(self.effects)) * cost.hours if count and cost else None

    @property
    def would_change(self) -> str:
        """Returns in words what would change the verdict: seeds for the paper's gain and a third.

        Or why that is unknown.
        """
        n = len(self.effects)
        if n in UNKNOWN and (n < 2 or self.size is not None):
            return UNKNOWN[n]
        if self.detectable is None:
            return "unknown: the seeds do not differ"
        if self.size is None:
            return "the paper names no size to plan for"
        gain, third = self.needed(), self.needed(1 / 3)
        if third and third <= len(self.effects):
            return f"n {len(self.effects)} is enough for the paper's gain and for a third of it"
        said = [self._seeds(gain, "the paper's gain"), self._seeds(third, "a third of it")]
        return "; ".join(said)

    def _seeds(self, count: int | None, of: str) -> str:
        n, cost = len(self.effects), self.cost
        if count is not None and count <= n:
            return f"n {n} is enough for {of}"
        if count is None or cost is None:
            return f"{more_seeds.seeds(count)} seeds for {of}"
        return f"{count:,} seeds (+{(count - n) * cost.hours:,.1f} {cost.unit}) for {of}"

    @property
    def kind(self) -> str:
        """Returns which way it is decided: "better", "worse", or "open"."""
        for kind, beginning in (("better", "confirmed"), ("worse", "contradicted")):
            if self.words.startswith(beginning):
                return kind
        return "open"

    @property
    def words(self) -> str:
        """Returns what it comes to."""
        if not self.effects:
            return "not run"
        if self.interval is None:
            return f"no verdict from n = {len(self.effects)}"
        low, high = self.interval
        if (low > 0 or high < 0) and self.holm_p is not None and self.holm_p >= 0.05:
            return FOR if low > 0 else AGAINST
        if high < 0:
            return "contradicted"
        if low > 0:
            less = self.gain is not None and high < self.gain
            return "confirmed, less than the paper's gain" if less else "confirmed"
        if self.gain is None:
            return "open: not shown either way"
        return EXCLUDED if high < self.gain else "open: zero or the paper's"


def verdicts(groups: Sequence[Group]) -> list[Verdict]:
    """Returns every claim on every task, run or not, with p values corrected by Holm's method."""
    found = [
        _verdict(task, claim, groups)
        for task in TASKS
        for claim in CLAIMS
        if claim.only in (None, task.metric)
    ]
    tested = {place: one.p for place, one in enumerate(found) if one.p is not None}
    for place, p in zip(tested, statistics.holm([*tested.values()]), strict=True):
        found[place] = replace(found[place], holm_p=p, tests=len(tested))
    return found


def group_of(task: Task, groups: Sequence[Group]) -> Group | None:
    """Returns the task's runs without changed settings; of several kinds, that of most runs."""
    return max(_kinds(task, groups), key=lambda group: len(group.runs), default=None)


def left_out(task: Task, groups: Sequence[Group]) -> list[Group]:
    """Returns the task's runs of the other kinds, such as another precision."""
    counted = group_of(task, groups)
    return [group for group in _kinds(task, groups) if group is not counted]


def _kinds(task: Task, groups: Sequence[Group]) -> list[Group]:
    return [
        group
        for group in groups
        if (group.first.recipe, group.first.scale) == (task.recipe, task.scale)
        and not group.first.overrides
    ]


def reborn_pct(group: Group) -> Spread | None:
    """Returns how far re-densing acted: the reborn weights' mean magnitude over the kept ones', %.

    Of dsd's last re-dense phase, the layers weighted by their pruned weights; over the seeds.
    """
    shares = []
    for run in group.arms.get("dsd", {}).values():
        layers = [one for one in run.record.phases[-1].reborn.values() if one["pruned"]]
        if layers:
            parts = (one["pruned"] * (one["relative_magnitude"] or 0.0) for one in layers)
            shares.append(100 * sum(parts) / sum(one["pruned"] for one in layers))
    return spread(shares) if shares else None


def _verdict(task: Task, claim: Claim, groups: Sequence[Group]) -> Verdict:
    group = group_of(task, groups)
    if group is None:
        return Verdict(task, claim, None, ())
    metric, splits = task.metric, task.splits
    if claim.measure:
        metric, splits = claim.measure[0], claim.measure[1:]
    ours = _means([group.values("dsd", split, metric) for split in splits])
    theirs = _means([group.opposite("dsd", claim.over, split, metric) for split in splits])
    sign = -1 if group.lower_is_better(metric) else 1
    return Verdict(task, claim, group, tuple(sign * apart for apart in paired(ours, theirs)))


def _means(each: Sequence[dict[int, float]]) -> dict[int, float]:
    """Returns {seed: the mean of its figures}, of {seed: figure} for each test set."""
    seeds = set.intersection(*map(set, each))
    return {seed: spread([values[seed] for values in each]).mean for seed in sorted(seeds)}
