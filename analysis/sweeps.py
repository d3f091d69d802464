"""A sweep over sparsities borrows the runs of the arms that have no mask: they are the same."""

import re
from collections.abc import Iterable

from analysis.groups import Group
from analysis.records import Run
from analysis.words import listed

_SPARSITY = re.compile(r"phases\.\w+\.sparsity=")


def completed(groups: Iterable[Group]) -> list[Group]:
    """Returns the groups without miniatures; a sweep gets the usual runs that have no mask."""
    groups = [group for group in groups if group.first.scale != "mini"]
    return [Group((*group.runs, *_borrowed(group, groups))) for group in groups]


def own(group: Group) -> Group:
    """Returns a completed group without what it borrowed."""
    return Group(tuple(run for run in group.runs if run.record.overrides == group.first.overrides))


def borrowed(group: Group) -> list[str]:
    """Returns a note that names the arms that a group borrowed, [] for none."""
    arms = [arm for arm in group.arms if arm not in own(group).arms]
    said = "as at the usual sparsity, on which they do not depend."
    return [f"{listed(arms)}: {said}"] if arms else []


def _borrowed(group: Group, others: Iterable[Group]) -> list[Run]:
    """Returns the usual runs without a mask that a group lacks, which differs in sparsity alone."""
    record = group.first
    if not record.overrides or any(not _SPARSITY.match(change) for change in record.overrides):
        return []
    return [
        run
        for other in others
        if (other.first.recipe, other.first.scale) == (record.recipe, record.scale)
        for run in other.runs
        if not run.record.overrides
        and run.record.arm not in group.arms
        and {phase.mask for phase in run.record.phases} == {"none"}
    ]
