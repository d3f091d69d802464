"""When weights are pruned: at once, or gradually over optimizer steps (Zhu and Gupta, 2017)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gradual:
    """Reaches sparsity s over `steps` optimizer steps: s (1 - (1 - t / steps)^3) after t of them.

    Masks are chosen again every `every` steps, and after the last. Raises ValueError for fewer than
    one step.
    """

    steps: int
    every: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.every < 1:
            raise ValueError(f"a gradual schedule has steps and every of at least 1, not {self}")

    def share(self, step: int) -> float:
        """Returns the fraction of the final sparsity after `step` steps, exactly 1 at the end."""
        return float(1 - (1 - step / self.steps) ** 3)
