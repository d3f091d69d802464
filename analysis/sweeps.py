"""A sweep over sparsities borrows the runs of the arms that have no mask: they are the same."""

import re
from collections.abc import Iterable

from analysis.records import Group, Run
from analysis.significance import listed

UNMASKED = ("baseline", "finetune", "llr")
_SPARSITY = re.compile(r"phases\.\w+\.sparsity=")


def completed(groups: Iterable[Group]) -> list[Group]:
    """Returns the groups; a sweep gets the usual runs of the arms without a mask."""
    groups = list(groups)
    return [Group((*group.runs, *_unmasked(group, groups))) for group in groups]


def own(group: Group) -> Group:
    """Returns a completed group without what it borrowed."""
    return Group(tuple(run for run in group.runs if run.record.overrides == group.first.overrides))


def borrowed(group: Group) -> list[str]:
    """Returns a note that names the arms that a group borrowed, [] for none."""
    arms = [arm for arm in group.arms if arm not in own(group).arms]
    said = "as at the usual sparsity, on which they do not depend."
    return [f"{listed(arms)}: {said}"] if arms else []


def _unmasked(group: Group, others: Iterable[Group]) -> list[Run]:
    """Returns the runs without a mask that a group lacks for it differs in its sparsity alone."""
    record = group.first
    if not record.overrides or any(not _SPARSITY.match(change) for change in record.overrides):
        return []
    return [
        run
        for other in others
        if (other.first.recipe, other.first.scale) == (record.recipe, record.scale)
        for arm, seeds in other.arms.items()
        if not other.first.overrides and arm in UNMASKED and arm not in group.arms
        for run in seeds.values()
    ]
