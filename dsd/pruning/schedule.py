"""When weights are pruned: at once, or gradually over optimizer steps (Zhu and Gupta, 2017)."""

from dataclasses import dataclass
from numbers import Integral


@dataclass(frozen=True)
class Gradual:
    """Reaches sparsity s over `steps` optimizer steps: s (1 - (1 - t / steps)^3) after t of them.

    Masks are chosen again every `every` steps, and after the last. Raises ValueError for fewer than
    one step, and for fractions of steps.
    """

    steps: int
    every: int

    def __post_init__(self) -> None:
        for count in (self.steps, self.every):
            if not isinstance(count, Integral) or count < 1:
                raise ValueError(
                    f"a gradual schedule has whole numbers of at least 1 for steps and every, not "
                    f"{self}"
                )

    def share(self, step: int) -> float:
        """Returns the fraction of the final sparsity after `step` steps, exactly 1 at the end."""
        return float(1 - (1 - step / self.steps) ** 3)


def check_is_schedule(schedule: object) -> None:
    """Raises ValueError for what is no Gradual, such as a number of steps."""
    if schedule is not None and not isinstance(schedule, Gradual):
        raise ValueError(f"schedule must be a Gradual(steps, every), not {schedule!r}")
