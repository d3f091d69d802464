"""The tables of docs/scale.md, from benchmarks/results/scale.json."""

from itertools import product
from typing import Any

from benchmarks.costs import ASSUMED, Step


def page(text: str, result: dict[str, Any]) -> str:
    """Returns the page with its tables renewed."""
    for name, table in tables(result).items():
        begin, end = f"<!-- table {name}: python -m benchmarks.scale -->\n", "<!-- end -->\n"
        before, found, rest = text.partition(begin)
        if not found:
            raise SystemExit(f"docs/scale.md: has no place for the table {name}")
        text = before + begin + table + end + rest.partition(end)[2]
    return text


def tables(result: dict[str, Any]) -> dict[str, str]:
    """Returns the page's tables by name."""
    return {
        "assumed": _assumed(),
        "measured": _measured(result),
        "images": _images(result["images"]),
        "hours": _hours(result["images"]),
        "speech": _speech(result["speech"]),
        "sweep": _sweep(result["sweep"]),
        "masks": _masks(result["masks"]),
    }


def _assumed() -> str:
    lines = [f"| {name} | {value:g} | {source} |" for name, (value, source) in ASSUMED.items()]
    return _table("| assumed | value | source |", lines)


def _measured(result: dict[str, Any]) -> str:
    measured = result["measured"]
    made = measured["made"]
    lines = [
        f"| input of an image of 110 kB, {name} | {1e3 * seconds:.2f} ms of one core, "
        f"{1 / seconds:.0f} images/s | `{made['command']}`, {made['device']}, {made['date']} |"
        for name, seconds in measured["input_core_s"].items()
    ]
    lines.append(
        f"| checkpoint, written and synced | {measured['checkpoint_bytes_per_s'] / 1e6:.0f} MB/s "
        f"| the same |"
    )
    lines.append(
        f"| masks of VGG-16 | {result['mask_ns_a_weight']:.1f} ns a weight, "
        f"{result['mask_threads']} threads "
        "| `benchmarks/results/masks.json` |"
    )
    gpu = result["on_gpu"]
    lines.append(
        "| images a second, fp32 / `--fast`: "
        + "; ".join(
            f"{name} {speeds['fp32']:.0f} / {speeds['bf16']:.0f}"
            for name, speeds in gpu.items()
            if name != "made"
        )
        + f" | one {gpu['made']['device']} | `{gpu['made']['command']}`, {gpu['made']['date']} |"
    )
    return _table("| measured | | how |", lines)


def _images(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        if row["precision"] == "bf16":
            step = Step(**row["step"])
            parts = (step.compute, step.input, step.exchange, step.mask, step.checkpoint)
            lines.append(
                f"| {row['network']} | {row['weights'] / 1e6:.1f} | {row['gflops']:.1f} "
                f"| {row['batch']} | {row['gpus']} | "
                + " | ".join(f"{1e3 * part:.2f}" for part in parts)
                + f" | {row['batch'] / row['seconds']:.0f} | {row['limit']} |"
            )
    return _table(
        "| network | weights, M | GFLOP an image | batch | GPUs | compute, ms | input, ms "
        "| all-reduce, ms | mask, ms | checkpoint, ms | images/s | waits for |",
        lines,
    )


def _hours(rows: list[dict[str, Any]]) -> str:
    lines, gpus = [], sorted({row["gpus"] for row in rows})
    for name in dict.fromkeys(row["network"] for row in rows):
        known = {(row["precision"], row["gpus"]): row for row in rows if row["network"] == name}
        cells = [
            f"{row['dsd_hours']:.3g} / {row['all_hours']:.3g}" if (row := known.get(key)) else "-"
            for key in product(("fp32", "bf16"), gpus)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    head = " | ".join(f"{p}, {n} GPU{'s' * (n > 1)}" for p in ("fp32", "bf16") for n in gpus)
    return _table(f"| network | {head} |", lines)


def _speech(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| {row['network']} | {row['weights'] / 1e6:.1f} | {row['gflops']:.2f} | {row['batch']} "
        f"| {row['gpus']} | {1e3 * row['step']['compute']:.1f} | {1e3 * row['step']['input']:.1f} "
        f"| {1e3 * row['step']['exchange']:.2f} | {row['dsd_hours']:.3g} | {row['all_hours']:.3g} "
        f"| {row['limit']} |"
        for row in rows
    ]
    return _table(
        "| network | weights, M | GFLOP a second of speech | batch | GPUs | compute, ms "
        "| input, ms | all-reduce, ms | hours, dsd | hours, all arms | waits for |",
        lines,
    )


def _sweep(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| {row['killed']:.0%} | {row['phases']} | {row['hours']:.1f} | {row['gpu_hours']:.0f} "
        f"| {row['use']:.0%} | {row['longest_chain']:.1f} | {row['kills']} | {row['failures']} |"
        for row in rows
    ]
    return _table(
        "| starts that are killed | phases | hours | GPU hours | GPUs in use "
        "| longest chain, hours | kills | jobs that failed |",
        lines,
    )


def _masks(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| 1e{len(str(int(row['weights']))) - 1} | {row['mask_bytes'] / 1e9:.3g} "
        f"| {row['training_bytes'] / 1e9:.4g} | {row['gpus']} | {row['cpu_s']:.3g} "
        f"| {row['cpu_shard_s']:.3g} | {1e3 * row['gpu_shard_s']:.3g} | {1e3 * row['step_s']:.3g} "
        f"| {row['counts_bytes'] / 1e6:.1f} |"
        for row in rows
    ]
    return _table(
        "| weights | masks, GB | training, GB | GPUs that hold it | one process on a CPU, s "
        "| a shard on a CPU, s | a shard on a GPU, ms | a step's masking, ms | all-reduced, MB |",
        lines,
    )


def _table(head: str, lines: list[str]) -> str:
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *lines]) + "\n"
