"""What is pruned and what is left dense, in words."""

from collections.abc import Mapping

from torch import nn


def table(
    model: nn.Module, report: Mapping[str, Mapping[str, int]], dense: Mapping[str, str]
) -> str:
    """Returns a line for each parameter: its shape, how many weights are pruned, or why none is.

    report: {name: {"weights", "kept"}} of the prunable ones. dense: {name: reason} of the others.
    """
    rows = [("parameter", "shape", "pruned")]
    for name, parameter in model.named_parameters():
        pruned = f"dense: {dense.get(name, 'added later')}"
        if name in report:
            weights, kept = report[name]["weights"], report[name]["kept"]
            pruned = f"{weights - kept} of {weights} ({(weights - kept) / max(weights, 1):.1%})"
        rows.append((name, "x".join(map(str, parameter.shape)), pruned))
    width, shape = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{row[0]:{width}}  {row[1]:{shape}}  {row[2]}" for row in rows)


def left_dense(model: nn.Module, names: list[str]) -> str:
    """Returns the warning that names parameters left dense as they are no layer's weights."""
    parameters = dict(model.named_parameters())
    shown = [f"{name} {tuple(parameters[name].shape)}" for name in names[:8]]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (
        f"left dense, as no layer's weights: {', '.join(shown)}{more}. include=[...] prunes what "
        "it names; exclude=[...] leaves it dense without this warning"
    )
