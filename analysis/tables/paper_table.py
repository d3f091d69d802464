"""The paper's figures beside ours, where ours were made under the paper's conditions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analysis import paper
from analysis.grid import Grid, metric_name, signed, split_name
from analysis.records import ARMS, Group, Run
from analysis.tables.conditions import CONTROLS, arm_cells, made, ours
from dsd.suite.folder import Suite


@dataclass(frozen=True)
class Line:
    """One row: what the paper published, and our runs where there are any."""

    title: str
    recipe: str | None
    metric: str
    published: dict[str, paper.Figure]
    group: Group | None
    split: str


def lines(suite: Suite, found: Sequence[Group]) -> Iterator[Line]:
    """Yields a line for each test set of the recipes that have a row in the paper, run or not.

    `found`: the groups that were run under the paper's conditions.
    """
    folder = suite.root / "results" / "paper"
    for name in suite.recipes:
        recipe = suite.recipe(name)
        if not recipe.table:
            continue
        mine: list[Group | None] = [g for g in found if g.first.recipe == name]
        for group in mine or [None]:
            splits = group.splits if group else paper.test_sets(folder, recipe.table)
            wanted = group.first.metric if group else None
            for split in splits:
                metric, published = paper.figures(
                    folder, recipe.table, recipe.column, wanted, split
                )
                several = f", {split_name(split)}" if len(splits) > 1 else ""
                yield Line(f"{recipe.title}{several}", name, metric, published, group, split)


def grid(title: str, found: Iterable[Line]) -> Grid:
    """Returns lines as a table: the paper's baseline and DSD, and all arms of ours."""
    found = list(found)
    arms = list(dict.fromkeys([*ARMS, *(arm for line in found for arm in _arms(line.group))]))
    rows, notes = [], []
    for line in found:
        group, split = line.group, line.split
        rows.append(
            (
                line.title,
                metric_name(line.metric),
                *(figure(line.published.get(arm)) for arm in ("baseline", "dsd")),
                _published_gain(line),
                *(ours(group, arm, split) for arm in arms),
                *(signed(group.gain("dsd", over, split) if group else None) for over in CONTROLS),
            )
        )
        notes += _doubts(line)
        if group:
            notes += [f"{group.first.title}: {note}" for note in [*group.notes, made(group)]]
    header = (
        "",
        "metric",
        "paper: baseline",
        "paper: DSD",
        "paper: gain",
        *(f"ours: {arm}" for arm in arms),
        *(f"our dsd's gain over {over}" for over in CONTROLS),
    )
    return Grid(title, header, rows, tuple(dict.fromkeys(notes)))


def rows(found: Iterable[Line]) -> Iterator[dict[str, Any]]:
    """Yields the same as numbers, a row an arm; ours is empty where there is no record."""
    for line in found:
        for arm in dict.fromkeys([*ARMS, *line.published, *_arms(line.group)]):
            published = line.published.get(arm)
            yield {
                "recipe": line.recipe,
                "metric": line.metric,
                "split": line.split,
                "arm": arm,
                "paper": published and published.value,
                "paper_sd": published and published.sd,
                "paper_runs": published and published.runs,
                "paper_confidence": published and published.confidence,
                **arm_cells(line.group, arm, line.split),
            }


def figure(published: paper.Figure | None) -> str:
    """Writes a figure of the paper, "8.12† ± 0.05† (n 16)"; "-" for None."""
    if published is None:
        return "-"
    sd = "" if published.sd is None else f" ± {published.sd:.2f}{'' if published.sd_seen else '†'}"
    n = f" (n {published.runs})" if published.runs else ""
    return f"{published.value:.2f}{'' if published.seen else '†'}{sd}{n}"


def at(found: Iterable[Group], table: str, column: str | None) -> list[Group]:
    """Returns the groups whose recipe has its figures in one place of the paper."""
    return [g for g in found if (g.first.table, g.first.column) == (table, column)]


def by_metric(group: Group, metric: str) -> Group:
    """Returns a group whose figures and gains are those of another metric of its test sets."""
    return Group(
        tuple(Run(run.path, run.record.model_copy(update={"metric": metric})) for run in group.runs)
    )


def _arms(group: Group | None) -> list[str]:
    return list(group.arms) if group else []


def _doubts(line: Line) -> list[str]:
    """Returns what is known about the published figures, where it is more than seen or not."""
    arms_of: dict[str, list[str]] = {}
    for arm in ("baseline", "dsd"):
        if arm in line.published:
            arms_of.setdefault(line.published[arm].confidence, []).append(arm)
    return [
        f"{line.title}, the paper's {' and '.join(arms)}: {confidence}"
        for confidence, arms in arms_of.items()
        if confidence not in ("seen", "unverified")
    ]


def _published_gain(line: Line) -> str:
    if not {"baseline", "dsd"} <= line.published.keys():
        return "-"
    baseline, dsd = line.published["baseline"], line.published["dsd"]
    gain = paper.gain(baseline.value, dsd.value, line.metric)
    mark = "" if baseline.seen and dsd.seen else "†"
    return f"{gain:+.2f}{mark} ({100 * gain / baseline.value:+.1f} %)"
