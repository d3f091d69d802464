"""The model card of an exported network, in Hugging Face's form: YAML, then Markdown."""

import re
from collections.abc import Iterable
from typing import Any

import yaml

from dsd.runs.finished import Trained
from dsd.runs.tree import address
from dsd.suite.scores import decimals
from dsd.suite.task import Plain

PAPER = "[DSD: Dense-Sparse-Dense Training](https://arxiv.org/abs/1607.04381)"
MINIATURE = "> **Trained on generated miniature data, to try the suite out: not a model for use.**"


def card(
    trained: Trained,
    plain: Plain,
    *,
    title: str,
    corpus: str,
    terms: str,
    notes: Iterable[str],
    cost: dict[str, Any],
    sha256: str,
) -> str:
    """Returns the text of README.md, the model card.

    title, notes: of the record, or of the recipe where there is none. terms: the corpus's licence.
    cost: what `dsd.export.inference_cost.compare` returns. sha256: of model.safetensors.
    """
    mini = trained.scale == "mini" or any(note.startswith("miniature") for note in notes)
    parts = [
        _front_matter(trained, plain, corpus),
        f"# {text(title)}: {_arm(trained)}, seed {trained.settings.seed}",
        *([MINIATURE] if mini else []),
        f"A network from a reproduction of {PAPER} (Han et al., ICLR 2017): train dense; prune, "
        "and retrain under the mask; drop the mask, and retrain dense. This one went through the "
        "phases below.",
        "## Phases",
        _phases(trained),
        "## Results on the test sets",
        _results(trained),
        "## Inference cost",
        _inference_cost(cost, itself=len(trained.path) == 1),
        "## How to load it",
        snippet(plain),
        plain.use,
        "## Data and licences",
        _licences(plain, terms, mini),
        "## Intended use and limits",
        "To check and compare what dense-sparse-dense training does. It was tested on nothing but "
        "the sets above, and not for bias, safety or other data.",
        _bullets(notes),
        "## Provenance",
        _provenance(trained, sha256),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def snippet(plain: Plain) -> str:
    """Returns the Python that loads the network, and where it runs."""
    where = "In this folder, with a checkout of the suite on PYTHONPATH:"
    if plain.front_matter["library_name"] == "torchvision":
        where = "In this folder, with torchvision and safetensors alone:"
    lines = [
        "from safetensors.torch import load_file",
        plain.load,
        'net.load_state_dict(load_file("model.safetensors"))',
        "net.eval()",
    ]
    return f"{where}\n\n```python\n" + "\n".join(lines) + "\n```"


def text(words: str) -> str:
    """Returns text from data on one line, with what is special to Markdown or HTML escaped."""
    return re.sub(r"([\\`*_\[\]<>&#|~$!])", r"\\\1", " ".join(words.split()))


def _front_matter(trained: Trained, plain: Plain, corpus: str) -> str:
    results = [
        {
            "task": {"type": plain.front_matter["pipeline_tag"]},
            "dataset": {"name": f"{corpus}, {split}", "type": corpus},
            "metrics": [{"type": name, "value": round(v, 4)} for name, v in metrics.items()],
        }
        for split, metrics in trained.phase.test.items()
    ]
    head = {
        "license": "apache-2.0",
        **plain.front_matter,
        "tags": ["dense-sparse-dense-training", "dsd", "safetensors"],
        "model-index": [{"name": trained.name, "results": results}],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---"


def _arm(trained: Trained) -> str:
    if trained.record:
        return f"arm {text(trained.record.arm)}"
    return "phases " + text(address(trained.path))


def _phases(trained: Trained) -> str:
    rows = []
    for depth, node in enumerate(trained.path, start=1):
        chosen = [n for n in trained.path[:depth] if n.mask != "kept"][-1].phase.sparsity
        share = "by layer" if isinstance(chosen, dict) else f"{chosen:g}"
        sparsity = f"{share}, {text(node.mask)}" if node.mask != "none" else "no mask"
        rows.append((text(node.name), f"{node.phase.epochs:g}", f"{node.phase.lr:g}", sparsity))
    return _table(("phase", "epochs", "learning rate", "sparsity (fraction of zeros)"), rows)


def _results(trained: Trained) -> str:
    rows = [
        (text(split), text(name), f"{value:.{decimals(name, [value])}f}")
        for split, metrics in trained.phase.test.items()
        for name, value in metrics.items()
    ]
    source = "From the run's folder; no record of it was found."
    if trained.record_file:
        source = f"From the record {text(trained.record_file.name)}."
    return (
        _table(("test set", "metric", "value"), rows)
        + f"\n\n{source} One run of one seed does not tell whether DSD helps: compare the arms "
        "over several seeds, as the suite's tables do."
    )


def _inference_cost(cost: dict[str, Any], itself: bool) -> str:
    names = {
        "parameters": "parameters",
        "tensors": "tensors in the state dict",
        "flops": "FLOPs of products and convolutions, one example",
        "zeros": "parameters that are exactly zero",
    }
    rows = [
        (words, _count(cost["network"], name), _count(cost["baseline"], name))
        for name, words in names.items()
    ]
    found, time = cost["differences"], cost["time"]
    low, high = time["middle_half"]
    verdict = "Names and shapes of all tensors, parameters and FLOPs are the baseline's."
    if found:
        verdict = f"**Differs from the baseline:**\n\n{_bullets(found)}"
    whose = "Baseline here: the network after the dense phase of the same run."
    if itself:
        whose = "This is the baseline, compared with itself."
    return (
        f"{whose} {verdict}\n\n{_table(('', 'this network', 'baseline'), rows)}\n\n"
        f"Time over the baseline's: {time['median_ratio']:.3f} (median of {time['rounds']} rounds "
        f"that time both; middle half {low:.3f} to {high:.3f}; CPU time, batch {time['batch']}, "
        f"{text(time['device'])})."
    )


def _count(cost: dict[str, Any], name: str) -> str:
    if cost[name] is None:
        return f"not counted ({text(', '.join(cost['uncounted']))})"
    return f"{cost[name]:,}"


def _licences(plain: Plain, terms: str, mini: bool) -> str:
    data = "Data: a miniature that the suite generates; no file of the corpus." if mini else terms
    return _bullets(
        [
            "The suite's code, and whatever rights in these weights are its authors': Apache-2.0.",
            data,
            *plain.terms,
        ]
    ) + (
        "\n\nWhether terms of the data bind weights trained on them is not settled here: see the "
        "sources before you pass the weights on or sell what they do."
    )


def _provenance(trained: Trained, sha256: str) -> str:
    provenance = trained.phase.provenance
    versions = ", ".join(
        f"{name} {found}" for name, found in provenance.get("versions", {}).items()
    )
    facts = {
        "recipe": f"{trained.recipe}, scale {trained.scale}",
        "changed settings": ", ".join(trained.record.overrides) if trained.record else "",
        "revision": provenance.get("revision", "unknown"),
        "device": provenance.get("device", "unknown"),
        "precision": trained.settings.precision,
        "versions": versions or "unknown",
        "date": provenance.get("date", "unknown"),
        "SHA-256 of model.safetensors": sha256,
    }
    return _table(("", ""), [(name, text(fact)) for name, fact in facts.items() if fact])


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {text(line)}" for line in lines)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
