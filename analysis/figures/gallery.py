"""The paper's figure 3: test images, what each arm says of them, and the corpus' references.

The images are every k-th of the test split. The paper does not say how it chose its own.
"""

import base64
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure
from PIL import Image

from analysis.arms import GREY
from analysis.figures import plots
from analysis.records import Run
from data import captioned, flickr8k
from data.captions import CaptionSet
from data.images import read_image
from data.mini import captioned as mini_captioned
from data.mini import flickr8k as mini_flickr8k
from dsd.errors import UserError
from dsd.runs.record import Record, read_examples
from dsd.suite.folder import Suite, corpus_folder

MINIATURES = {  # corpora of captions -> what writes their miniature without features
    "captions": mini_captioned.write,
    "flickr8k": mini_flickr8k.write,
}
TEMPLATE = Path(__file__).with_name("gallery.html.jinja")
SIDE = 480  # pixels of an image on the page, at most
WIDTH = 44  # characters of a line in the picture
LEADING = 11.5  # points from line to line
MARGIN = 0.45  # inches above and beneath the images
WRITTEN: dict[str, Any] = {  # a line of text, in which matplotlib reads no formulas
    **{"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"},
    **{"fontsize": 8, "parse_math": False},
}


@dataclass(frozen=True)
class Shown:
    """A test image, {row: its caption}, and the corpus' captions."""

    name: str
    image: Image.Image
    captions: dict[str, str]
    references: tuple[str, ...]

    @property
    def uri(self) -> str:
        """Returns the image as a data: URI."""
        file = io.BytesIO()
        self.image.save(file, "JPEG", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


@dataclass(frozen=True)
class Gallery:
    """Test images with what the arms of one seed say of them; notes say how they were chosen."""

    title: str
    notes: tuple[str, ...]
    shown: list[Shown]

    @property
    def page(self) -> str:
        """Returns the gallery as HTML that asks for nothing else."""
        environment = jinja2.Environment(autoescape=True, trim_blocks=True)
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        return template.render(title=self.title, notes=self.notes, shown=self.shown)


def folder(suite: Suite, record: Record) -> Path:
    """Returns the folder with the images and captions of a record's corpus.

    Those of the miniature are written on first use, without the features, which only training
    needs and which take minutes. Raises UserError when the corpus's variable names no folder.
    """
    runs = suite.root / "runs"
    if record.scale != "mini":
        return corpus_folder(suite, suite.recipe(record.recipe, record.scale), runs)
    corpus = corpus_of(record)
    whole = runs / "miniature" / corpus
    pictures = whole if whole.exists() else whole.with_name(f"{corpus}-pictures")
    MINIATURES[corpus](pictures)
    return pictures


def of_runs(runs: Sequence[Run], root: Path, images: int = 12, beam: int = 20) -> Gallery:
    """Returns every k-th test image whose file is in the corpus' folder, at most `images`.

    `runs`: of one seed. Raises UserError when they are not of this corpus or lack the beam.
    """
    said = _captions(runs, beam)
    record = runs[0].record
    test, files = _test_images(root, record)
    if record.corpus["fingerprint"]["test"]["captions"] != test.fingerprint():
        raise UserError(
            f"{runs[0].path}: its test split is not that of {root}; point "
            f"{corpus_of(record).upper()} at the folder that it was made with"
        )
    present = [i for i, name in enumerate(test.images) if name in files]
    if not present:
        raise UserError(f"{root}: holds none of the {len(test)} test images; add some")
    step = max(1, len(present) // images)
    shown = []
    for i in present[::step][:images]:
        image = read_image(files[test.images[i]], upright=corpus_of(record) == "captions")
        image.thumbnail((SIDE, SIDE))
        references = tuple(" ".join(words) for words in test.captions[i])
        captions = {row: lines[i] for row, lines in said.items()}
        shown.append(Shown(test.images[i], image, captions, references))
    how = f"Shown: one in {step} of the {len(present)} test images, in their order"
    missing = len(test) - len(present)
    left_out = f"; {missing} of {len(test)} test images are not in the folder" if missing else ""
    made = "; ".join([f"Beam {beam}", f"seed {record.seed}", *plots.caption(runs[0])])
    notes = (f"{how}; none is picked by hand{left_out}.", f"{made}.")
    return Gallery(record.title, notes, shown)


def corpus_of(record: Record) -> str:
    """Returns the corpus of a record's recipe, whatever its data are called."""
    return record.recipe.partition("-")[0]


def _test_images(root: Path, record: Record) -> tuple[CaptionSet, dict[str, Path]]:
    """Returns the test set of a folder, and the files of its images that are there."""
    if corpus_of(record) == "captions":
        there = captioned.pictures(root)
        sets = captioned.load(root, record.settings.task.get("split_seed", 0))
        return sets["test"], {name: paths[0] for name, paths in there.items()}
    test, folder = flickr8k.load(root, "test"), flickr8k.image_folder(root)
    return test, {name: folder / name for name in test.images if (folder / name).is_file()}


def name(run: Run) -> str:
    """Returns the picture's file name without an ending."""
    return f"{run.label}.seed{run.record.seed}.gallery"


@plots.style()
def picture(gallery: Gallery) -> Figure:
    """Returns the gallery in two columns: each image, and beside it its captions."""
    captions = [_lines(one) for one in gallery.shown]
    rows = -(-len(captions) // 2)
    height = max(1.3, LEADING * max(map(len, captions)) / 72 + 0.1)  # inches
    whole = rows * height + 2 * MARGIN
    figure, panels = plots.panels(rows, 4, 10, whole, width_ratios=[2, 5, 2, 5])
    figure.set_layout_engine(None)  # around images the other one differs from time to time
    above, beneath = 1 - MARGIN / whole, MARGIN / whole
    figure.subplots_adjust(0.01, beneath, 0.99, above, wspace=0.05, hspace=0)
    for axes in panels.flat:
        axes.set_axis_off()
    looks = plots.looks([*gallery.shown[0].captions])
    for one, lines, (left, right) in zip(
        gallery.shown, captions, panels.reshape(-1, 2), strict=False
    ):
        left.imshow(one.image)
        left.set_anchor("N")
        for number, (row, line) in enumerate(lines):
            colour = looks[row].colour if row in looks else GREY
            for x, text, ink in ((0.0, row, colour), (0.2, line, "black")):
                right.annotate(text, (x, 1), (0, -LEADING * number), color=ink, **WRITTEN)
    plots.surround(figure, gallery.title, gallery.notes)
    return figure


def _captions(runs: Sequence[Run], beam: int) -> dict[str, list[str]]:
    """Returns {row: a caption for each test image}: of each arm, and of dsd under its mask.

    The baseline's are those of the dense phase, which all arms share.
    """
    rows = {"baseline": (runs[0], 0)}
    for run in runs:
        phases = run.record.phases
        if run.record.arm == "dsd":  # an arm of this name takes its place
            rows |= {phase.name: (run, i) for i, phase in enumerate(phases[:-1]) if i}
        rows[run.record.arm] = (run, len(phases) - 1)
    return {row: _after(run, place, beam) for row, (run, place) in rows.items()}


def _after(run: Run, place: int, beam: int) -> list[str]:
    """Returns a run's captions after the phase at a place of its path."""
    phases = run.record.phases
    path = "/".join(phase.folder for phase in phases[: place + 1])
    examples = read_examples(run.path)
    key = f"{path}/test_beam{beam}/caption"
    if key not in examples:
        tests = [split for split in phases[place].test if "_beam" in split]
        beams = ", ".join(split.rpartition("_beam")[2] for split in tests) or "none"
        raise UserError(f"{run.path}: has no captions by beam {beam}; --beam may be: {beams}")
    return [str(caption) for caption in examples[key]]


def _lines(one: Shown) -> list[tuple[str, str]]:
    """Returns (who says it, a line of the caption), who at the first line alone."""
    lines = []
    for row, caption in {**one.captions, "reference": one.references[0]}.items():
        wrapped = textwrap.wrap(caption, WIDTH) or ["(no words)"]
        lines += [(row if line is wrapped[0] else "", line) for line in wrapped]
    return lines
