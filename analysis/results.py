"""The records of a folder, put into groups, and the paper's tables: what pages are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from analysis.groups import Group, groups
from analysis.paper import Paper, load
from analysis.records import read_all
from analysis.sweeps import completed, own
from dsd.errors import UserError
from dsd.suite.folder import Suite


@dataclass(frozen=True)
class Results:
    """Groups of a suite, and which of them may stand beside the paper's figures."""

    suite: Suite
    groups: Sequence[Group]
    _why: dict[Path, list[str]] = field(default_factory=dict)  # asked for often, and slow

    @cached_property
    def paper(self) -> Paper:
        """Returns the paper's tables. Raises UserError that names a damaged one."""
        return load(self.suite.root)

    @property
    def has_paper(self) -> bool:
        """Returns whether the suite has the paper's tables; one's own has none."""
        return (self.suite.root / "results" / "paper").is_dir()

    @cached_property
    def of_paper(self) -> bool:
        """Returns whether the paper belongs on the page: not where all are of a user's data."""
        own = [group.first.corpus.get("own", False) for group in self.groups]
        return self.has_paper and not (own and all(own))

    @cached_property
    def completed(self) -> list[Group]:
        """Returns the groups without miniatures; sweeps have the runs that they borrow."""
        return completed(self.groups)

    @cached_property
    def beside(self) -> list[Group]:
        """Returns the groups that were run under the paper's conditions."""
        return [group for group in self.groups if not self.why(group)]

    @cached_property
    def apart(self) -> list[Group]:
        """Returns the others."""
        return [group for group in self.groups if self.why(group)]

    def why(self, group: Group) -> list[str]:
        """Returns why a group may not stand beside the paper's figures; none: it may."""
        path = group.runs[0].path
        if path not in self._why:
            self._why[path] = own(group).reasons_apart(self.suite)
        return self._why[path]


def read(suite: Suite, folder: Path | None = None, scale: str | None = None) -> Results:
    """Returns the results of a folder's records (default: results/runs), or of one scale.

    Raises UserError when there is no record of the scale, or a record cannot be used.
    """
    folder = folder or suite.root / "results" / "runs"
    found = groups(read_all(folder, scale))
    if not found and scale not in (None, "full"):
        raise UserError(
            f"{folder}: no record of scale {scale}; make some, for example with: "
            f"dsd run {next(iter(suite.recipes))} --scale {scale} --arm all"
        )
    return Results(suite, found)
