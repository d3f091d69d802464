"""The tree of plans of a group: every phase once, with the tests after it."""

from dataclasses import dataclass

from analysis.grid import phase_name
from analysis.records import Group
from dsd.runs.record import PhaseRecord

ARMS = ("dsd", "finetune", "random", "baseline", "llr")  # the paper's path first, then controls


@dataclass(frozen=True)
class Step:
    """A phase at its place in the tree."""

    path: str  # of phases' folders, from the root
    arm: str  # the first that takes it
    phase: PhaseRecord
    tests: dict[int, dict[str, dict[str, float]]]  # seed -> test set -> figures

    @property
    def name(self) -> str:
        """Returns for example "finetune, sparse1"; all arms share the root, which has no arm."""
        words = [self.arm] if "/" in self.path else []
        return ", ".join(dict.fromkeys([*words, phase_name(self.phase.name)]))

    @property
    def sparsity(self) -> float:
        """Returns the fraction of zeros, 0 without a mask."""
        return 0.0 if self.phase.mask == "none" else self.phase.sparsity

    def values(self, split: str, metric: str) -> dict[int, float]:
        """Returns {seed: figure} of a test set after this phase."""
        return {seed: tests[split][metric] for seed, tests in self.tests.items()}


def steps(group: Group) -> dict[str, Step]:
    """Returns {path: step}, arm by arm; arms that begin alike share their steps."""
    found: dict[str, Step] = {}
    for arm in sorted(group.arms, key=[*ARMS, *group.arms].index):
        for seed, run in group.arms[arm].items():
            folders: list[str] = []
            for phase in run.record.phases:
                folders.append(phase.folder)
                path = "/".join(folders)
                found.setdefault(path, Step(path, arm, phase, {})).tests[seed] = phase.test
    return found
