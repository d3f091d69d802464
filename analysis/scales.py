"""What the scales of the suite's recipes are, in words; a scale that is not here keeps its name."""

from dsd.runs.record import Record

ANY = {"acting": "schedule in which re-densing acts", "mini": "miniature"}  # in every recipe
SCALES = {  # corpus -> scale -> words
    "an4": {"width256": "a quarter of the width, 20 epochs a phase"},
    "captions": {"vgg16": "features of VGG-16"},
    "cifar10": {"short": "a thirteenth of the epochs"},
    "flickr8k": {
        "lite0": "features of EfficientNet-Lite0, the paper's phases",
        "lite0_printed": "features of EfficientNet-Lite0, the dense rate that the paper prints",
    },
    "folder": {"scratch": "from random weights"},
    "imagenette": {"caffe": "a short schedule"},
    "manifest": {"small": "a quarter of the width"},
}


def words(record: Record) -> str:
    """Returns what a record's scale is in words, its name where nobody has written them."""
    corpus = record.recipe.partition("-")[0]
    known = ANY | SCALES.get(corpus, {})
    return known.get(record.scale, record.scale)


def scale(record: Record) -> str:
    """Returns the same in a sentence: "" for the recipe as it is, "scale x" where x is a name."""
    if record.scale == "full":
        return ""
    in_words = words(record)
    return f"scale {in_words}" if in_words == record.scale else in_words
