"""The commands on speech: `dsd prepare`, `dsd transcribe`.

Imported when one of commands.toml is called; networks and data are when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from dsd.errors import UserError, printable


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.command()(prepare)
    app.command()(transcribe)


def prepare(
    corpus: Annotated[str, typer.Argument(help="wsj, an4, librispeech or manifest.")],
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="The original corpus; for wsj all its discs, for manifest NeMo's manifests.",
        ),
    ],
    to: Annotated[
        Path, typer.Option(help="A folder for FLAC files and manifests; WSJ= ... points at it.")
    ],
) -> None:
    """Reads an original speech corpus and writes FLAC files and one manifest for each split.

    A stopped preparation goes on when the same command is given again.

    Examples: `dsd prepare wsj /ldc/wsj0 /ldc/wsj1 --to wsj && dsd verify wsj wsj`,
    `dsd prepare manifest train.jsonl test.jsonl --to speech`
    """
    from importlib import import_module

    from data.prepare import prepare as write
    from dsd.suite.names import nearest

    known = ("wsj", "an4", "librispeech", "manifest")
    if corpus not in known:
        raise UserError(f"no speech corpus is called {corpus!r}{nearest(corpus, known)}")
    for folder in folders:
        if not (folder.is_dir() or (corpus == "manifest" and folder.is_file())):
            raise UserError(f"{folder}: no such folder; name the folders of the original corpus")
    for line in write(corpus, import_module(f"data.{corpus}").sources(folders), to):
        print(line)
    print(f"next: {corpus.upper()}={to} dsd run ... (see: dsd list)")


def transcribe(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="FLAC, WAV, SPHERE or MP3.")
    ],
    run: Annotated[Path, typer.Option(help="A record, or the folder of a trained phase.")],
) -> None:
    """Prints transcripts of recordings by a trained network: file, words.

    Example: `dsd transcribe a.flac --run runs/an4-deepspeech.mini/seed0/dense/sparse1/redense1`
    """
    from dsd.runs.finished import folder
    from recipes.transcriber import Transcriber

    transcribe = Transcriber(folder(run))
    for file in recordings:
        print(printable(str(file), ""), transcribe(file), sep="\t")
