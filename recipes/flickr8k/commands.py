"""The commands on photographs and captions: `dsd features`, `dsd caption`.

Imported when one of commands.toml is called; networks and data are when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from dsd.errors import UserError, printable
from dsd.suite.folder import given_folder


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.command()(features)
    app.command()(caption)


def features(
    corpus: Annotated[
        str, typer.Argument(help="flickr8k or captions; its folder is in FLICKR8K or CAPTIONS.")
    ],
    network: Annotated[
        str, typer.Option(help="vgg16 (the paper's) or efficientnet_lite0.")
    ] = "vgg16",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Another file of weights; .caffemodel and .npz are Caffe's "
            "(default: torchvision's, or the package's)."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Writes `features_<network>.npz`: every image's features, computed by a network, for captions.

    A stopped extraction goes on when the same command is given again.

    Example: `FLICKR8K=/path dsd features flickr8k --network vgg16 --weights vgg16.caffemodel`
    """
    from dsd.suite.folder import the_suite
    from dsd.training.device import Options, make_accelerator, set_numerics
    from recipes.image_features import extract

    module = the_suite().task_module(corpus)
    if not hasattr(module, "image_files"):
        raise UserError(
            f"{corpus}: has no captions, its images need no features; try flickr8k or captions"
        )
    command = f"dsd features {corpus} --network {network}"
    root = given_folder(corpus, module, "dsd features", command)
    chosen = make_accelerator(device).device
    set_numerics(Options())
    print(extract(root, module.image_files(root), network, weights, chosen))


def caption(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    run: Annotated[
        Path,
        typer.Option(
            help="A record, the folder of a trained phase, or the original's checkpoint (.p)."
        ),
    ],
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept by the search.")] = 20,
    weights: Annotated[
        str | None,
        typer.Option(help="Of the network that computes features (see `dsd features`)."),
    ] = None,
) -> None:
    """Prints captions of pictures by a trained network: file, caption, log probability in nats.

    Example: `dsd caption dog.jpg --run runs/flickr8k-neuraltalk.mini/seed0/dense/sparse/redense`
    """
    from dsd.runs.finished import folder
    from recipes.captioner import Captioner

    run = folder(run)
    for image, (text, score) in zip(images, Captioner(run, weights)(images, beam), strict=True):
        print(printable(str(image), ""), printable(text, ""), f"{score:.2f}", sep="\t")
