"""`dsd score`: scores text files, whatever program wrote them.

Imported when one of commands.yaml is called; the scorers are when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from dsd.errors import UserError

score = typer.Typer(no_args_is_help=True, help="Scores text files against references.")


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.add_typer(score, name="score")


@score.command()
def bleu(
    hypotheses: Annotated[Path, typer.Option(help="Captions to score, one a line.")],
    references: Annotated[
        list[Path], typer.Option(help="As many lines, a reference each. Repeatable.")
    ],
) -> None:
    """Prints BLEU-1 to BLEU-4 as NeuralTalk's multi-bleu.perl does, then the standard ones.

    Words are what ASCII's white space separates, as the script splits them, and as they stand:
    nothing is put into lower case. The script's BLEU has no brevity penalty; the standard one
    (nltk) has.

    Example: `dsd score bleu --hypotheses captions.txt --references ref0.txt --references ref1.txt`
    """
    import numpy as np

    from recipes.metrics.bleu import ORDERS, counts, scores, standard

    captions = _sentences(hypotheses)
    written = [_sentences(path) for path in references]
    for path, sentences in zip(references, written, strict=True):
        if len(sentences) != len(captions):
            raise UserError(
                f"{path}: has {len(sentences)} lines, {hypotheses} has {len(captions)}; "
                "give both a line for every image"
            )
    together = list(zip(*written, strict=True))
    table = np.array([counts(*pair) for pair in zip(captions, together, strict=True)])
    found, usual = scores(table), standard(captions, together)
    ratio, (length, closest) = found["length_ratio"], table[:, 8:].sum(axis=0)
    script = "/".join(f"{found[f'bleu{n}']:.1f}" for n in ORDERS)
    standard_ones = "/".join(f"{usual[f'standard_bleu{n}']:.1f}" for n in ORDERS)
    print(f"BLEU = {script} (BP=1.000, ratio={ratio:.3f}, hyp_len={length}, ref_len={closest})")
    print(f"standard BLEU = {standard_ones} (with brevity penalty, nltk), length ratio {ratio:.3f}")


@score.command("wer")
def word_errors(
    hypotheses: Annotated[Path, typer.Option(help="Transcripts to score, one a line.")],
    references: Annotated[Path, typer.Option(help="As many lines, a reference each.")],
) -> None:
    """Prints the word and the character error rate in percent, pooled over all lines.

    Words are what white space separates, as they stand: nothing is put into lower case. Blanks
    between words count as characters.

    Example: `dsd score wer --hypotheses transcripts.txt --references references.txt`
    """
    from recipes.metrics.wer import counts, rates

    transcripts, expected = _sentences(hypotheses), _sentences(references)
    if len(transcripts) != len(expected):
        raise UserError(
            f"{references}: has {len(expected)} lines, {hypotheses} has {len(transcripts)}; "
            "give both a line for every utterance"
        )
    if not any(expected):
        raise UserError(f"{references}: holds no word; give the reference transcripts")
    pairs = zip(transcripts, expected, strict=True)
    table = [counts(" ".join(hypothesis), " ".join(reference)) for hypothesis, reference in pairs]
    found, (errors, words, wrong, characters) = rates(table), map(sum, zip(*table, strict=True))
    print(f"WER {found['wer_pct']:.2f} % ({errors} errors in {words} words)")
    print(f"CER {found['cer_pct']:.2f} % ({wrong} errors in {characters} characters)")


def _sentences(path: Path) -> list[list[str]]:
    """Returns the words of each line. Raises UserError when there is no line, or no UTF-8 text."""
    from recipes.metrics.bleu import words

    try:
        text = path.read_bytes().decode("utf-8-sig")  # a byte order mark is no word
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; convert the file") from None
    lines = text.removesuffix("\n").split("\n")
    if not text:
        raise UserError(f"{path}: is empty; give it a line for each image or utterance")
    return [words(line) for line in lines]
