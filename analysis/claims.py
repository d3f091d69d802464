"""The paper's claims, and the tasks that test them; docs/evidence.md says how they were chosen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A claim, and what dsd is compared with to test it."""

    text: str
    over: str  # the arm
    measure: tuple[str, str] | None = None  # a metric and its split, instead of the task's metric
    in_metric: bool = False  # the paper gives a gain to hold it against
    only: str | None = None  # for the tasks of this metric alone


@dataclass(frozen=True)
class Task:
    """A recipe at one scale, its primary metric, and the effect that would matter."""

    recipe: str
    scale: str
    name: str
    metric: str
    splits: tuple[str, ...]  # several are one claim: their mean counts
    gain: float  # the paper's, in the metric's unit
    source: str  # of the gain


PRIMARY = "finetune"  # the arm of the primary comparison
PLANNED = 6  # seeds a task at first
TEST_LOSS = ("loss", "test")
CLAIMS = (
    Claim("better than the dense baseline", "baseline", in_metric=True),
    Claim("better than the matched fine-tuning", PRIMARY, in_metric=True),
    Claim("better than fine-tuning at its own best rate", "finetune_best", in_metric=True),
    Claim("better than going on at a low rate", "llr", in_metric=True),
    Claim("which weights are pruned matters", "random"),
    Claim("dropping the mask matters", "sparse"),
    Claim("a better optimum: lower training loss", PRIMARY, ("loss", "train")),
    Claim("generalises better: lower test loss", PRIMARY, TEST_LOSS),  # co-primary
    Claim("lower test loss than fine-tuning at its own best rate", "finetune_best", TEST_LOSS),
    Claim("lower validation perplexity", PRIMARY, ("perplexity", "heldout"), only="bleu4"),
)
BEAMS = ("test_beam1", "test_beam20")
SQUEEZENET = "SqueezeNet's relative gain in the model zoo"
TEST = ("test",)
APPENDIX = "its difference to fine-tuning in the appendix"
DEEPSPEECH = "DeepSpeech's relative gain in table 7"
TASKS = (
    Task("flickr8k-neuraltalk", "acting", "Flickr-8K captions", "bleu4", BEAMS, 1.70, "table 5"),
    Task(
        "imagenette-squeezenet",
        "acting",
        "Imagenette, SqueezeNet",
        "top1_error_pct",
        TEST,
        0.80,
        SQUEEZENET,
    ),
    Task("an4-deepspeech", "acting", "AN4, DeepSpeech", "wer_pct", TEST, 1.32, DEEPSPEECH),
    Task(
        "flickr8k-neuraltalk",
        "lite0",
        "Flickr-8K captions at the paper's rates",
        "bleu4",
        BEAMS,
        1.70,
        "table 5",
    ),
    Task("cifar10-resnet20", "full", "CIFAR-10, ResNet-20", "top1_error_pct", TEST, 0.08, APPENDIX),
)
