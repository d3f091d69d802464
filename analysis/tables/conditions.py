"""Tables of one condition (a recipe at one scale, on one corpus): its arms and their phases."""

from collections.abc import Iterator, Sequence
from typing import Any

from analysis.grid import (
    Grid,
    cells,
    mean_sd,
    metric_name,
    number,
    phase_name,
    plus_minus,
    signed,
    split_name,
)
from analysis.records import ARMS, Group, Spread, spread

CONTROLS = ("baseline", "finetune")


def arms_grid(group: Group, why: list[str]) -> Grid:
    """Returns the arms' final figures and gains; `why` says what keeps them from the paper's."""
    rows = [
        (
            _arm(group, arm, split),
            ours(group, arm, split),
            *(signed(group.gain(arm, over, split)) for over in CONTROLS),
        )
        for arm in group.arms
        for split in group.splits
    ]
    header = ("arm", metric_name(group.first.metric), *(f"gain over {over}" for over in CONTROLS))
    apart = f"Not beside the paper's figures: {'; '.join(why)}."
    return Grid(title(group), header, rows, (apart, *beneath(group, why)))


def overview_grid(apart: Sequence[tuple[Group, list[str]]]) -> Grid:
    """Returns a line for each condition and test set, and why it is apart from the paper's."""
    arms = list(dict.fromkeys([*ARMS, *(arm for group, _ in apart for arm in group.arms)]))
    rows: list[tuple[str, ...]] = []
    for group, why in apart:
        record = group.first
        scale = " ".join([record.scale, *sorted(record.overrides)])
        named = (record.title, str(record.corpus.get("name")), scale)
        more = [reason for reason in why if reason != f"scale {record.scale}"]
        for split in group.splits:
            finals = [group.final(arm, split).values() for arm in arms]
            seeds = sorted({len(values) for values in finals if values})
            rows.append(
                (
                    *named,
                    split_name(split),
                    metric_name(record.metric),
                    " to ".join(map(str, seeds[:1] + seeds[1:][-1:])),
                    *(plus_minus(spread(values)) if values else "not run" for values in finals),
                    *(signed(group.gain("dsd", over, split)) for over in CONTROLS),
                    "; ".join(more or why),
                )
            )
    gains = (f"dsd's gain over {over}" for over in CONTROLS)
    names = ("", "corpus", "scale", "test set", "metric", "seeds", *arms, *gains, "why apart")
    return Grid("Under other conditions", names, rows)


def arms_rows(group: Group) -> Iterator[dict[str, Any]]:
    """Yields the same as numbers."""
    for arm in group.arms:
        for split in group.splits:
            yield {
                **condition(group),
                "metric": group.first.metric,
                "split": split,
                "arm": arm,
                **arm_cells(group, arm, split),
            }


def phases_grid(group: Group) -> Grid:
    """Returns the test figure after every phase of every arm."""
    metric = group.first.metric
    columns: dict[str, None] = {}
    by_arm: dict[str, dict[str, str]] = {}
    masks: dict[str, str] = {}
    for row in phases_rows(group):
        if row["metric"] != metric:
            continue
        name = _arm(group, row["arm"], row["split"])
        column = f"after {phase_name(row['phase'])}"
        column += f", round {row['round']}" if row["round"] > 1 else ""
        columns[column] = None
        by_arm.setdefault(name, {})[column] = mean_sd(
            Spread(row["test"], row["test_sd"], row["test_n"])
        )
        if row["sparsity"]:
            masks[name] = row["mask"]
    rows = [
        (name, masks.get(name, "-"), *(row.get(column, "-") for column in columns))
        for name, row in by_arm.items()
    ]
    name = f"{title(group)}: {metric_name(metric)} after every phase"
    return Grid(name, ("arm", "mask", *columns), rows, beneath(group))


def phases_rows(group: Group) -> Iterator[dict[str, Any]]:
    """Yields every test figure after every phase, as numbers."""
    for arm, seeds in group.arms.items():
        rounds: dict[str, int] = {}
        runs = [run.record.phases for run in seeds.values()]
        for place, phase in enumerate(runs[0]):
            rounds[phase.name] = rounds.get(phase.name, 0) + 1
            for split, figures in phase.test.items():
                for metric in figures:
                    yield {
                        **condition(group),
                        "arm": arm,
                        "phase": phase.name,
                        "round": rounds[phase.name],
                        "mask": phase.mask,
                        "epochs": phase.epochs,
                        "lr": phase.lr,
                        "sparsity": phase.sparsity,
                        "split": split,
                        "metric": metric,
                        **cells(
                            "test", spread(phases[place].test[split][metric] for phases in runs)
                        ),
                    }


def arm_cells(group: Group | None, arm: str, split: str) -> dict[str, Any]:
    """Returns an arm's seeds, final figures and gains; None for what there is not."""
    values = group.final(arm, split) if group else {}
    found: dict[str, Any] = {"seeds": " ".join(map(str, values))}
    found |= cells("ours", spread(values.values()) if values else None)
    for over in CONTROLS:
        gain = group.gain(arm, over, split) if group else None
        found |= cells(f"gain_over_{over}", gain and gain.difference)
        found[f"gain_over_{over}_pct"] = gain and gain.relative_pct
    return found


def ours(group: Group | None, arm: str, split: str) -> str:
    """Returns an arm's final figure in words."""
    values = group.final(arm, split) if group else {}
    return mean_sd(spread(values.values()) if values else None)


def made(group: Group) -> str:
    """Returns in one line when, on what and by which revision the runs were made."""
    told = [run.record.made for run in group.runs]

    def every(key: str) -> str:
        return ", ".join(sorted({str(one[key]) for one in told if key in one})) or "unknown"

    torch = ", ".join(sorted({one.get("versions", {}).get("torch", "unknown") for one in told}))
    commits = {
        one["revision"][:10] + "+changes" * one["revision"].endswith("+changes") for one in told
    }
    return (
        f"Made {every('date')} on {every('device')} ({every('precision')}, torch {torch}, "
        f"revision {', '.join(sorted(commits))})."
    )


def condition(group: Group | None) -> dict[str, Any]:
    """Returns the CSV columns that say which runs these are, empty for none."""
    if group is None:
        return dict.fromkeys(("recipe", "scale", "changed", "corpus", "notes"))
    record = group.first
    return {
        "recipe": record.recipe,
        "scale": record.scale,
        "changed": " ".join(sorted(record.overrides)),
        "corpus": record.corpus.get("name"),
        "notes": "; ".join(group.notes),
    }


def beneath(group: Group, above: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the phases, all notes that are not said above, and how the runs were made."""
    phases = {
        phase.name: f"{phase_name(phase.name)} {phase.epochs:g} epochs at {number(phase.lr)}"
        + (f", sparsity {phase.sparsity:g}" if phase.sparsity else "")
        for seeds in group.arms.values()
        for run in seeds.values()
        for phase in run.record.phases
    }
    said = (note for note in group.notes if note not in above)
    return (f"Phases: {'; '.join(phases.values())}.", *said, made(group))


def title(group: Group) -> str:
    """Returns the recipe's title and name, the scale and the changed settings."""
    record = group.first
    changed = f", changed: {' '.join(sorted(record.overrides))}" if record.overrides else ""
    return f"{record.title} ({record.recipe}, scale {record.scale}{changed})"


def _arm(group: Group, arm: str, split: str) -> str:
    return f"{arm}, {split_name(split)}" if len(group.splits) > 1 else arm
