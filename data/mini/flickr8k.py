"""A miniature Flickr-8K: scenes of a big and a small shape, each with five captions by a grammar.

The captions differ as people's do, and each is true of its picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.flickr8k import FOLDERS, NAMES, TOKENS
from data.mini.images import SHAPES, is_written, new_folder

IMAGES = {"train": 400, "val": 60, "test": 80}
WIDTH, HEIGHT = 128, 112  # pixels
NOISE = 12.0  # standard deviation, of 255

# In the order of SHAPES.
NOUNS = (("ball", "disc"), ("ring", "hoop"), ("box", "square"), ("triangle",), ("cross",))
COLOURS = {
    "red": (215, 35, 35),
    "green": (30, 150, 50),
    "blue": (40, 80, 215),
    "yellow": (235, 205, 40),
}
SKIES = {
    (195, 210, 225): ("by day", "in daylight", "on a bright day"),
    (30, 28, 45): ("at night", "in the dark"),
}
RELATIONS = (  # of one thing to the other: its side (x, y; y points down) and words for it
    ((-1, 0), ("left of", "to the left of", "beside", "next to")),
    ((1, 0), ("right of", "to the right of", "beside", "next to")),
    ((0, -1), ("above", "over")),
    ((0, 1), ("below", "under", "beneath")),
)
SENTENCES = (
    "{big} is {where} {small}",
    "{big} {where} {small} {when}",
    "there is {big} {where} {small}",
    "{when} , {big} is {where} {small}",
    "{big} hangs {where} {small}",
    "{big} and {small} {when}",
    "{big} with {small} {opposite} it",
    "{small} is {opposite} {big}",
)


@dataclass(frozen=True)
class Scene:
    """What a picture shows. The fields are places in NOUNS, COLOURS, RELATIONS and SKIES."""

    shapes: tuple[int, int]  # of the big and of the small thing, as all pairs here
    colours: tuple[int, int]
    relation: int  # of the big thing to the small one
    sky: int


def write(root: Path, complete: Callable[[Path], object] = lambda folder: None) -> None:
    """Writes the corpus into `root` unless it is there. Raises UserError if something else is.

    `complete` adds what is computed from the images before the folder gets its name, so that no
    other process ever sees it incomplete.
    """
    if is_written(root):
        return
    with new_folder(root) as folder:
        texts, pictures = folder / "Flickr8k_text", folder / FOLDERS[0]
        texts.mkdir()
        pictures.mkdir()
        names, lines = [], []
        for i in range(sum(IMAGES.values())):
            rng = np.random.default_rng([4, i])
            scene = invent(rng)
            name = f"{1_000_000_000 + i}_{rng.bytes(5).hex()}.jpg"
            Image.fromarray(draw(scene, rng)).save(pictures / name, "JPEG", quality=90)
            names.append(name)
            lines += [f"{name}#{n}\t{text}" for n, text in enumerate(describe(scene, rng))]
        lines.append(f"{names[-1]}.1#0\tA caption of a file that does not exist .")  # as there
        (texts / TOKENS).write_text("\n".join(lines) + "\n")
        order = np.random.default_rng(4).permutation(len(names)).tolist()
        for split, count in IMAGES.items():
            members = [names[order.pop()] for _ in range(count)]
            (texts / NAMES[split]).write_text("\n".join(members) + "\n")
        complete(folder)


def invent(rng: np.random.Generator) -> Scene:
    """Returns any scene with equal probability."""
    shapes, colours = rng.integers(len(NOUNS), size=2), rng.integers(len(COLOURS), size=2)
    relation, sky = rng.integers(len(RELATIONS)), rng.integers(len(SKIES))
    return Scene((*shapes.tolist(),), (*colours.tolist(),), int(relation), int(sky))


def draw(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draws a scene, (112, 128, 3) uint8. The things never touch."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.empty((HEIGHT, WIDTH, 3))
    pixels[:] = list(SKIES)[scene.sky]
    side = np.array(RELATIONS[scene.relation][0])
    across = side == 0  # the axis along which the things stand level
    radii = rng.uniform((21, 13), (26, 16))  # pixels
    for shape, colour, radius, offset in zip(
        scene.shapes, scene.colours, radii, (0.18 * side, -0.3 * side), strict=True
    ):
        jitter = rng.uniform(-1, 1, 2) * np.where(across, 0.12, 0.03)
        x, y = (0.5 + offset + jitter) * (WIDTH, HEIGHT)
        inside = SHAPES[shape]((column - x) / radius, (row - y) / radius)
        pixels[inside] = list(COLOURS.values())[colour] + rng.normal(0, 10, 3)
    pixels += rng.normal(0, NOISE, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def describe(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Returns five true captions in Flickr-8K's form: a capital first, " ." last."""

    def one_of(words: tuple[str, ...]) -> str:
        return words[rng.integers(len(words))]

    def thing(which: int, sizes: tuple[str, ...]) -> str:
        size = one_of(sizes) if rng.random() < 0.5 else ""
        colour = list(COLOURS)[scene.colours[which]] if rng.random() < 0.85 else ""
        return " ".join(filter(None, ("a", size, colour, one_of(NOUNS[scene.shapes[which]]))))

    captions = []
    for i in rng.choice(len(SENTENCES), 5, replace=False):
        text = SENTENCES[i].format(
            big=thing(0, ("big", "large")),
            small=thing(1, ("small", "little")),
            where=one_of(RELATIONS[scene.relation][1]),
            opposite=one_of(RELATIONS[scene.relation ^ 1][1]),
            when=one_of(list(SKIES.values())[scene.sky]),
        )
        captions.append(text[0].upper() + text[1:] + " .")
    return captions
