"""The paper's figure 3: test images, what each arm says of them, and the corpus' references.

The images are every k-th of the test split. The paper does not say how it chose its own.
"""

import base64
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import plots
from analysis.records import Run, of_one_seed
from analysis.tables.table5 import ROWS
from data.flickr8k import image_folder, load
from data.images import read_image
from dsd.errors import UserError
from dsd.runs.record import read_examples

TEMPLATE = Path(__file__).with_name("gallery.html.jinja")
SIDE = 480  # pixels of an image on the page, at most
WIDTH = 44  # characters of a line in the picture
LEADING = 11.5  # points from line to line


@dataclass(frozen=True)
class Shown:
    """A test image, {row of table 5: its caption}, and the corpus' captions."""

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


def draw(paths: Sequence[Path], root: Path, out: Path, images: int, beam: int) -> Path:
    """Writes a page (.html, whole in itself) or a picture (.png) of `images` test images.

    `root`: the folder of Flickr-8K; images that are not there are left out and counted. Raises
    UserError when the records do not belong together or to this corpus, or lack the beam.
    """
    if out.suffix not in (".html", ".png"):
        raise UserError(f"--out {out}: a gallery is a .html or a .png; name one of these")
    runs = of_one_seed(paths, "a gallery is made")
    said = captions(runs, beam)
    shown, chosen = choose(runs, said, root, images)
    notes = [*chosen, "; ".join([f"Beam {beam}", *plots.caption(runs[0])]) + "."]
    record = runs[0].record
    title = f"{record.title}, seed {record.seed}"
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".png":
        with plots.style():
            plots.save_png(picture(title, notes, shown), out)
    else:
        out.write_text(page(title, notes, shown), encoding="utf-8")
    return out


def captions(runs: Sequence[Run], beam: int) -> dict[str, list[str]]:
    """Returns {row of table 5: a caption for each test image}, for the arms that are given.

    The baseline's are those of the dense phase, which all arms share.
    """
    arms = {run.record.arm: run for run in runs}
    rows = {**ROWS, "baseline": (runs[0].record.arm, runs[0].record.phases[0].name)}
    return {
        row: _captions(arms[arm], after, beam) for row, (arm, after) in rows.items() if arm in arms
    }


def choose(
    runs: Sequence[Run], said: dict[str, list[str]], root: Path, images: int
) -> tuple[list[Shown], list[str]]:
    """Returns every k-th test image whose file is there, at most `images`; and how, in words."""
    test, record = load(root, "test"), runs[0].record
    if record.corpus["fingerprint"]["test"]["captions"] != test.fingerprint():
        raise UserError(
            f"{runs[0].path}: its test split is not that of {root}; point FLICKR8K at the folder "
            "that it was made with"
        )
    folder = image_folder(root)
    present = [i for i, name in enumerate(test.images) if (folder / name).is_file()]
    if not present:
        raise UserError(f"{folder}: holds none of the {len(test)} test images; add some")
    step = max(1, len(present) // images)
    shown = []
    for i in present[::step][:images]:
        image = read_image(folder / test.images[i])
        image.thumbnail((SIDE, SIDE))
        references = tuple(" ".join(words) for words in test.captions[i])
        told = {row: lines[i] for row, lines in said.items()}
        shown.append(Shown(test.images[i], image, told, references))
    how = f"Shown: one in {step} of the {len(present)} test images, in their order"
    missing = len(test) - len(present)
    left_out = [f"{missing} of {len(test)} test images are not in the folder"] if missing else []
    return shown, ["; ".join([f"{how}; none is picked by hand", *left_out]) + "."]


def page(title: str, notes: Sequence[str], shown: Sequence[Shown]) -> str:
    """Returns the gallery as HTML that asks for nothing else."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, notes=notes, shown=shown)


def picture(title: str, notes: Sequence[str], shown: Sequence[Shown]) -> Figure:
    """Returns the gallery in two columns: each image, and beside it its captions."""
    told = [_lines(one) for one in shown]
    rows = -(-len(shown) // 2)
    height = max(1.3, LEADING * max(map(len, told)) / 72 + 0.1)  # inches
    figure = Figure(figsize=(10, rows * height + 0.8), layout="constrained")
    panels = figure.subplots(rows, 4, squeeze=False, width_ratios=[2, 5, 2, 5])
    for axes in panels.flat:
        axes.set_axis_off()
    for one, lines, (left, right) in zip(shown, told, panels.reshape(-1, 2), strict=False):
        left.imshow(one.image)
        left.set_anchor("N")
        for number, (row, line) in enumerate(lines):
            _write(right, number, 0.0, row, color=plots.ARMS.get(row, (plots.GREY, ""))[0])
            _write(right, number, 0.2, line)
    figure.suptitle(title, fontsize=10.5)
    figure.supxlabel("\n".join(notes), fontsize=8, color=plots.GREY)
    return figure


def _captions(run: Run, after: str, beam: int) -> list[str]:
    phases = run.record.phases
    last = max(i for i, phase in enumerate(phases) if after in ("", phase.name))
    path = "/".join(phase.folder for phase in phases[: last + 1])
    examples = read_examples(run.path)
    key = f"{path}/test_beam{beam}/caption"
    if key not in examples:
        tests = [split for split in phases[last].test if "_beam" in split]
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


def _write(axes: Axes, number: int, left: float, text: str, color: str = "black") -> None:
    """Writes a line of text; matplotlib reads no formulas in it."""
    axes.annotate(
        text,
        (left, 1),
        (0, -LEADING * number),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=color,
        parse_math=False,
    )
