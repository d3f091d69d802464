"""The arms: how each is named and drawn, what dsd minus it shows. To add one, add a line."""

from collections.abc import Iterable
from dataclasses import dataclass

# Okabe and Ito (2008): colour-blind readers can tell them apart.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"


@dataclass(frozen=True)
class Arm:
    """One arm, in words and in pictures."""

    name: str  # as recipes have it
    label: str  # in a sentence
    colour: str
    marker: str
    tells: str = ""  # what dsd minus this arm tells; "" where it is no control
    masked: bool = False  # its result depends on the sparsity


ARMS = {
    arm.name: arm
    for arm in (
        Arm("baseline", "the baseline", GREY, "o", "dsd trains for longer: is it better at all?"),
        Arm("dsd", "DSD", BLUE, "s", masked=True),
        Arm("finetune", "the matched fine-tuning", VERMILION, "^", "the mask, or the schedule?"),
        Arm(
            "finetune_best",
            "fine-tuning at its own best rate",
            "#882255",
            "<",
            "a schedule chosen so that DSD acts must not decide",
        ),
        Arm("llr", "going on at a low rate", "#009E73", "D", "the paper's own control"),
        Arm(
            "sparse",
            "the mask that is never dropped",
            "#E69F00",
            "X",
            "does re-densing add anything to pruning?",
            masked=True,
        ),
        Arm(
            "random",
            "the random mask",
            "#CC79A7",
            "v",
            "does it matter which weights are pruned?",
            masked=True,
        ),
        Arm("dsdsd", "DSD twice", "#56B4E9", "P", masked=True),
    )
}
CONTROLS = ("baseline", "finetune")  # those that the paper's tables are compared with
USUAL = ("baseline", "dsd", "finetune", "llr", "random")  # have a place in tables, run or not
_SPARE = (("#999933", "*"), ("#332288", "h"), ("#44AA99", "p"), ("#661100", "d"))


def arm(name: str, among: Iterable[str] = ()) -> Arm:
    """Returns an arm. One that is not in ARMS gets a look of its own among those named."""
    if name in ARMS:
        return ARMS[name]
    unknown = sorted({name, *among} - ARMS.keys())
    return Arm(name, name, *_SPARE[unknown.index(name) % len(_SPARE)])


def ordered(names: Iterable[str]) -> list[str]:
    """Returns names of arms, each once, as tables and legends have them: unknown ones last."""
    known = list(ARMS)
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else 99, name))
