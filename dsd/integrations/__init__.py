"""DSD in the loops that people use: plain ones, Hugging Face's Trainer, Lightning.

schedule.py       DSDSchedule: the phases of a plan, step by step
transformers.py   DSDCallback for transformers.Trainer
lightning.py      DSDCallback for lightning.Trainer

Neither library is imported until its module is.
"""

from dsd.integrations.schedule import DSDSchedule, Phase

__all__ = ["DSDSchedule", "Phase"]
