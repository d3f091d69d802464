"""The paper's figures beside ours, where ours were made under the paper's conditions."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from analysis import paper
from analysis.grid import Grid, metric_name, signed, split_name
from analysis.records import ARMS, Group
from analysis.tables.conditions import CONTROLS, arm_cells, made, ours
from dsd.recipe import Recipe
from dsd.suite import Suite


class _Line(NamedTuple):
    """One row: a recipe, its published figures, and our runs where there are any."""

    recipe: Recipe
    metric: str
    published: dict[str, paper.Figure]
    group: Group | None
    split: str
    several: bool  # test sets


def grid(suite: Suite, found: Sequence[Group]) -> Grid:
    """Returns the table of all recipes that have a row in the paper, run or not.

    `found`: the groups that were run under the paper's conditions.
    """
    lines = list(_lines(suite, found))
    arms = list(dict.fromkeys([*ARMS, *(arm for line in lines for arm in _arms(line.group))]))
    rows, notes = [], []
    for line in lines:
        group, title = line.group, line.recipe.title
        rows.append(
            (
                f"{title}, {split_name(line.split)}" if line.several else title,
                metric_name(line.metric),
                *(_published(line.published.get(arm)) for arm in ("baseline", "dsd")),
                _published_gain(line),
                *(ours(group, arm, line.split) for arm in arms),
                *(
                    signed(group.gain("dsd", over, line.split) if group else None)
                    for over in CONTROLS
                ),
            )
        )
        notes += _doubts(line)
        if group:
            notes += [f"{title}: {note}" for note in [*group.notes, made(group)]]
    header = (
        "",
        "metric",
        "paper: baseline",
        "paper: DSD",
        "paper: gain",
        *(f"ours: {arm}" for arm in arms),
        *(f"our dsd's gain over {over}" for over in CONTROLS),
    )
    return Grid("Under the paper's conditions", header, rows, tuple(dict.fromkeys(notes)))


def rows(suite: Suite, found: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """Yields the same as numbers, a row an arm; ours is empty where there is no record."""
    for line in _lines(suite, found):
        for arm in dict.fromkeys([*ARMS, *line.published, *_arms(line.group)]):
            figure = line.published.get(arm)
            yield {
                "recipe": line.recipe.name,
                "metric": line.metric,
                "split": line.split,
                "arm": arm,
                "paper": figure and figure.value,
                "paper_sd": figure and figure.sd,
                "paper_runs": figure and figure.runs,
                "paper_confidence": figure and figure.confidence,
                **arm_cells(line.group, arm, line.split),
            }


def _lines(suite: Suite, found: Sequence[Group]) -> Iterator[_Line]:
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
                yield _Line(recipe, metric, published, group, split, len(splits) > 1)


def _arms(group: Group | None) -> list[str]:
    return list(group.arms) if group else []


def _doubts(line: _Line) -> list[str]:
    """Returns what is known about the published figures, where it is more than seen or not."""
    arms_of: dict[str, list[str]] = {}
    for arm in ("baseline", "dsd"):
        if arm in line.published:
            arms_of.setdefault(line.published[arm].confidence, []).append(arm)
    return [
        f"{line.recipe.title}, the paper's {' and '.join(arms)}: {confidence}"
        for confidence, arms in arms_of.items()
        if confidence not in ("seen", "unverified")
    ]


def _published(figure: paper.Figure | None) -> str:
    if figure is None:
        return "-"
    sd = "" if figure.sd is None else f" ± {figure.sd:.2f}{'' if figure.sd_seen else '†'}"
    n = f" (n {figure.runs})" if figure.runs else ""
    return f"{figure.value:.2f}{'' if figure.seen else '†'}{sd}{n}"


def _published_gain(line: _Line) -> str:
    if not {"baseline", "dsd"} <= line.published.keys():
        return "-"
    baseline, dsd = line.published["baseline"], line.published["dsd"]
    gain = paper.gain(baseline.value, dsd.value, line.metric)
    mark = "" if baseline.seen and dsd.seen else "†"
    return f"{gain:+.2f}{mark} ({100 * gain / baseline.value:+.1f} %)"
