"""What is said above and beneath the tables of a group."""

from collections.abc import Sequence

from analysis.groups import Group
from analysis.scales import words
from analysis.words import number, phase_name


def title(group: Group) -> str:
    """Returns the recipe's title, its scale in words, its name and the changed settings."""
    record = group.first
    changed = f", changed: {' '.join(sorted(record.overrides))}" if record.overrides else ""
    scale = words(record)
    about = f", {scale}" if scale != record.scale else ""
    return f"{record.title}{about} ({record.recipe}, scale {record.scale}{changed})"


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


def made(group: Group) -> str:
    """Returns in one line when, on what and by which revision the runs were made."""
    provenances = [run.record.provenance for run in group.runs]

    def every(key: str) -> str:
        return ", ".join(sorted({str(one[key]) for one in provenances if key in one})) or "unknown"

    torch = ", ".join(
        sorted({one.get("versions", {}).get("torch", "unknown") for one in provenances})
    )
    commits = {
        one["revision"][:10] + "+changes" * one["revision"].endswith("+changes")
        for one in provenances
    }
    return (
        f"Made {every('date')} on {every('device')} ({every('precision')}, torch {torch}, "
        f"revision {', '.join(sorted(commits))})."
    )
