"""Captions: table 5 and its answers from made-up records, the gallery of a corpus made by hand."""

import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from analysis import conditions, gallery, paper, table5, tables
from analysis.commands import add_commands
from analysis.records import Spread, groups, read_all
from data import flickr8k
from data.images import MINIATURE
from dsd.errors import UserError

NAME = "flickr8k-neuraltalk"
PAPER = Path(__file__).parents[2] / "results" / "paper"


def scored(figure: float) -> dict[str, dict[str, float]]:
    """Returns a phase's test figures: BLEU-n is figure - 10 (n - 1), one more at beam 20."""
    tests = {"test": {"loss": 30.0, "perplexity": figure / 4}}
    for beam, more in ((1, 0.0), (20, 1.0)):
        bleu = {f"bleu{n}": figure - 10 * (n - 1) + more for n in (1, 2, 3, 4)}
        usual = {f"standard_{metric}": value / 2 for metric, value in bleu.items()}
        tests[f"test_beam{beam}"] = {**bleu, **usual, "length_ratio": 0.9, "mean_length": 8.5}
    return tests


@pytest.fixture
def captions(house):
    """The house with a captioning recipe; returns what writes a record of it."""
    recipe = house.suite.recipes["images-resnet18"].read_text()
    path = house.suite.root / "recipes" / "flickr8k" / "neuraltalk.yaml"
    path.parent.mkdir()
    path.write_text(
        recipe.replace("table: table4_resnet\ncolumn: resnet18", f"table: {table5.TABLE}")
        .replace("ResNet-18", "NeuralTalk")
        .replace("width: 8", "features: vgg16")
    )

    def run(arm: str, seed: int, *figures: float, **conditions) -> Path:
        return house.run(
            arm,
            seed,
            recipe=NAME,
            metric="bleu4",
            lower_is_better=False,
            scored=[scored(figure) for figure in figures],
            **conditions,
        )

    return run


def table(house) -> tuple[list[str], dict[str, list[str]], str]:
    """Returns header and rows of the first table that was written, and the whole page."""
    text = tables.files(house.suite)[house.suite.root / "results" / "tables" / "table5.md"]
    lines = [line for line in text.split("\n\n")[2].splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[0], {row[0]: row[1:] for row in rows[2:]}, text


def three_seeds(captions, **conditions) -> None:
    """dsd over baseline: 2, 2.5, 3. dsd over finetune: -1, 0, 1."""
    for seed, baseline in enumerate((50.0, 51.0, 52.0)):
        gain = 2 + seed / 2
        captions("baseline", seed, baseline, **conditions)
        captions("dsd", seed, baseline, baseline - 5, baseline + gain, **conditions)
        captions("finetune", seed, baseline, 60.0, baseline + gain + 1 - seed, **conditions)


def test_the_papers_figures_and_ours_stand_in_columns_of_their_own(house, captions):
    three_seeds(captions)
    header, rows, text = table(house)
    assert header[1:6] == [*(f"paper: BLEU-{n}" for n in (1, 2, 3, 4)), "our seeds"]
    beams = [f"beam {beam}: BLEU-{n}" for beam in (1, 20) for n in (1, 2, 3, 4)]
    assert header[6:] == beams
    assert list(rows) == ["baseline", "sparse", "dsd", "finetune", "llr", "random"]
    assert rows["baseline"][:6] == ["57.2", "38.6", "25.4", "16.8", "3", "51.00 ± 1.00"]
    assert rows["sparse"][:6] == ["58.4", "39.7", "26.3", "17.5", "3", "46.00 ± 1.00"]
    assert rows["dsd"][:6] == ["59.2", "40.7", "27.4", "18.5", "3", "53.50 ± 1.50"]
    assert rows["dsd"][8:10] == ["23.50 ± 1.50", "54.50 ± 1.50"]  # beam 1's last, beam 20's first
    assert rows["finetune"][:5] == ["-"] * 4 + ["3"]
    assert rows["random"] == ["-"] * 4 + ["not run"] + ["-"] * 8
    assert "- Features: VGG-16 fc7, as the paper's.\n" in text
    assert "The paper does not state its beam." in text
    assert "dsd minus its baseline: BLEU-1 +2.0, BLEU-2 +2.1, BLEU-3 +2.0, BLEU-4 +1.7." in text


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house, captions):
    three_seeds(captions)
    change = ["phases.sparse.sparsity=0.5"]
    for seed, figure in enumerate((50.0, 51.0, 52.0)):
        captions("dsd", seed, figure, figure - 4, figure + 3, overrides=change)
    usual, sweep = table5.captioning(groups(read_all(house.runs)))
    assert sorted(usual.arms) == ["baseline", "dsd", "finetune"]
    assert table5.difference(sweep, "baseline", "test_beam1", "bleu1") == (3.0, 0.0, 3)
    assert table5.difference(sweep, "finetune", "test_beam1", "bleu1") == (0.5, 0.5, 3)  # 0, 0.5, 1
    first, _ = table5.grids(house.suite, sweep)
    assert "changed: phases.sparse.sparsity=0.5" in first.title
    lent = "baseline and finetune: as at the usual sparsity, on which they do not depend."
    assert lent in first.notes
    phases = next(note for note in first.notes if note.startswith("Phases: "))
    assert "sparsity 0.5" in phases
    assert "sparsity 0.8" not in phases
    other, _ = table5.grids(house.suite, usual)
    assert lent not in other.notes


def test_the_answers_as_done_by_hand(house, captions):
    three_seeds(captions)
    (group,) = groups(read_all(house.runs))
    baseline, wide, *fine = table5.answers(group)
    # t(0.975, 2) = 4.302653; sd 0.5: half width 1.242
    each = ", ".join(f"BLEU-{n} +2.50 (+1.26 to +3.74)" for n in (1, 2, 3, 4))
    assert baseline == (
        "Beam 1: dsd beats the baseline in BLEU-1, BLEU-2, BLEU-3 and BLEU-4. "
        f"dsd minus baseline, mean over 3 seeds (95 % interval): {each}."
    )
    assert wide.startswith("Beam 20: dsd beats the baseline in BLEU-1, ")
    assert fine[0].startswith(
        "Beam 1: no difference between dsd and the matched fine-tuning shown in BLEU-1, BLEU-2, "
        "BLEU-3 and BLEU-4. dsd minus finetune, mean over 3 seeds (95 % interval): "
        "BLEU-1 +0.00 (-2.48 to +2.48), "
    )


def test_dsd_may_fall_behind_and_orders_may_differ(house, captions):
    for seed in (0, 1):
        captions("baseline", seed, 50.0)
        path = captions("dsd", seed, 50.0, 50.0, 48.0)
        path.write_text(path.read_text().replace('"bleu4": 18.0', '"bleu4": 20.5'))
    (group,) = groups(read_all(house.runs))
    assert table5.answers(group)[0].startswith(
        "Beam 1: dsd falls behind the baseline in BLEU-1, BLEU-2 and BLEU-3; "
        "dsd beats the baseline in BLEU-4. "
    )


def test_one_seed_gives_no_verdict_and_no_shared_seed_no_difference(house, captions):
    captions("baseline", 0, 50.0)
    captions("dsd", 0, 50.0, 50.0, 53.0)
    captions("dsd", 1, 50.0, 50.0, 99.0)  # the baseline lacks seed 1: it must not count
    captions("finetune", 2, 50.0, 50.0, 53.0)
    (group,) = groups(read_all(house.runs))
    assert table5.answers(group) == [
        f"{beam}: {text}"
        for text in (
            "one seed has both dsd and the baseline, so there is no interval and no verdict. dsd "
            "minus baseline: BLEU-1 +3.00, BLEU-2 +3.00, BLEU-3 +3.00, BLEU-4 +3.00.",
            "no seed has both dsd and the matched fine-tuning: nothing to compare.",
        )
        for beam in ("Beam 1", "Beam 20")
    ]


def test_the_interval_by_hand():
    assert table5.interval(Spread(1.0, None, 1)) is None
    assert table5.interval(Spread(1.0, 0.0, 3)) == (1.0, 1.0)
    low, high = table5.interval(Spread(2.0, 1.0, 5))
    assert (low, high) == pytest.approx((2 - 2.776445 / 5**0.5, 2 + 2.776445 / 5**0.5), abs=1e-6)


def test_other_conditions_are_named_and_miniatures_left_out(house, captions):
    three_seeds(captions, scale="mini")
    house.run("dsd", 0, 29.0)
    folder = house.suite.root / "results" / "tables"
    written = tables.files(house.suite)
    assert written[folder / "table5.md"].endswith("# Table 5 beside ours\n\nNo runs yet.\n")
    assert written[folder / "table5.csv"] == ""
    three_seeds(captions, scale="short", notes=["EfficientNet-Lite0 features"])
    header, rows, text = table(house)
    assert rows["dsd"][5] == "53.50 ± 1.50"
    assert "scale short)" in text
    assert "scale mini" not in text
    assert (
        "- Ours are not under the paper's conditions: scale short; EfficientNet-Lite0 features."
        in text
    )
    assert len(header) == 14
    house.suite.recipes[NAME].write_text(
        house.suite.recipes[NAME].read_text().replace("features: vgg16", "features: another")
    )
    captions("dsd", 9, 50.0, 50.0, 53.0)
    assert "as the paper's" not in table(house)[2].split("(flickr8k-neuraltalk, scale short)")[0]


def test_standard_bleu_length_and_perplexity_of_every_row_and_beam(house, captions):
    three_seeds(captions)
    (group,) = groups(read_all(house.runs))
    _, others = table5.grids(house.suite, group)
    rows = {row[0]: row[1:] for row in others.rows}
    assert len(rows) == 12
    assert rows["dsd, beam 20"] == (
        *("3", "27.25 ± 0.75", "22.25 ± 0.75", "17.25 ± 0.75", "12.25 ± 0.75"),
        *("0.90 ± 0.00", "8.50 ± 0.00", "13.38 ± 0.38"),
    )
    assert rows["sparse, beam 1"][1] == "23.00 ± 0.50"
    assert rows["llr, beam 1"] == ("not run", *"-" * 7)


def test_the_csv_holds_the_same_numbers(house, captions):
    three_seeds(captions)
    text = tables.files(house.suite)[house.suite.root / "results" / "tables" / "table5.csv"]
    rows = {
        (row["row"], row["split"], row["metric"]): row for row in csv.DictReader(io.StringIO(text))
    }
    row = rows["baseline", "test_beam20", "bleu1"]
    assert [float(row[k]) for k in ("paper", "ours", "dsd_minus_row", "dsd_minus_row_sd")] == [
        *(57.2, 52.0, 2.5, 0.5)
    ]
    assert [float(row["low"]), float(row["high"])] == pytest.approx([1.25793, 3.74207])
    assert (row["seeds"], row["ours_n"], row["paper_confidence"]) == ("0 1 2", "3", "seen")
    assert rows["dsd", "test_beam1", "bleu4"]["dsd_minus_row"] == ""
    assert float(rows["sparse", "test", "perplexity"]["ours"]) == 11.5
    assert rows["random", "test_beam1", "bleu1"]["ours"] == ""


def test_a_new_record_makes_the_table_stale(house, captions):
    tables.write(house.suite)
    captions("dsd", 0, 50.0, 50.0, 53.0)
    with pytest.raises(UserError, match=r"table5\.md, results/tables/table5\.csv: stale"):
        tables.check(house.suite)


def test_beams_have_names_in_the_other_tables(house, captions):
    three_seeds(captions)
    (group,) = groups(read_all(house.runs))
    first = [row[0] for row in conditions.arms_grid(group, []).rows]
    assert first[:4] == ["baseline, beam 1", "baseline, beam 20", "dsd, beam 1", "dsd, beam 20"]
    folder = house.suite.root / "results" / "tables"
    text = tables.files(house.suite)[folder / "paper_versus_ours.md"]
    assert "| NeuralTalk, beam 20 | BLEU-4 | 16.80 | 18.50 | +1.70 (+10.1 %) | 22.00" in text


def test_a_caption_recipe_that_nobody_ran_shows_the_papers_bleu_4():
    metric, figures = paper.figures(PAPER, table5.TABLE, None)
    assert (metric, figures["dsd"].value) == ("bleu4", 18.5)


# The gallery


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A Flickr-8K folder with seven test images in its own layout, in one colour each."""
    root = tmp_path / "flickr8k"
    (root / "Flickr8k_text").mkdir(parents=True)
    (root / "Flicker8k_Dataset").mkdir()
    (root / MINIATURE).write_text("by hand")
    names = {"train": ["a.jpg"], "val": ["b.jpg"], "test": [f"t{i}.jpg" for i in range(7)]}
    tokens = ""
    for split, images in names.items():
        (root / "Flickr8k_text" / flickr8k.NAMES[split]).write_text("\n".join(images))
        for i, image in enumerate(images):
            tokens += "".join(f"{image}#{n}\tPicture {i} said {n} ways .\n" for n in range(5))
            Image.new("RGB", (600, 300), (30 * i, 0, 0)).save(root / "Flicker8k_Dataset" / image)
    (root / "Flickr8k_text" / flickr8k.TOKENS).write_text(tokens)
    return root


@pytest.fixture
def told(house, captions, corpus):
    """Returns what writes a record whose captions name arm, phase, beam and image."""

    def run(arm: str, seed: int = 0, extra: str = "", **conditions) -> Path:
        test = flickr8k.load(corpus, "test")
        nodes = house.suite.recipe(NAME).plan(arm)
        examples, path = {}, ""
        for node in nodes:
            path += f"/{node.folder}" if path else node.folder
            for beam in (1, 20):
                lines = [f"{path} {beam} of {image}{extra}" for image in test.images]
                examples[f"{path}/test_beam{beam}/caption"] = np.array(lines)
        known = {"name": "flickr8k", "fingerprint": {"test": {"captions": test.fingerprint()}}}
        return captions(
            arm, seed, *[50.0] * len(nodes), examples=examples, corpus=known, **conditions
        )

    return run


def page(paths, corpus, tmp_path, images=3, beam=20) -> str:
    out = tmp_path / "out" / "page.html"
    assert gallery.draw(paths, corpus, out, images, beam) == out
    return out.read_text()


def articles(text: str) -> list[str]:
    return re.findall(r"<article>.*?</article>", text, re.S)


def told_of(article: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", article))


def test_every_image_stands_beside_its_own_captions(told, corpus, tmp_path):
    text = page([told("finetune"), told("dsd"), told("baseline")], corpus, tmp_path)
    found = articles(text)
    assert [told_of(article) for article in found] == [
        {
            "baseline": f"dense 20 of t{i}.jpg",
            "sparse": f"dense/sparse 20 of t{i}.jpg",
            "dsd": f"dense/sparse/redense 20 of t{i}.jpg",
            "finetune": f"dense/sparse-unmasked/redense 20 of t{i}.jpg",
        }
        for i in (0, 2, 4)
    ]
    for i, article in zip((0, 2, 4), found, strict=True):
        data = re.search(r'src="data:image/jpeg;base64,([^"]*)"', article)[1]
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.size == (480, 240)
        assert np.asarray(image)[0, 0].astype(int) == pytest.approx([30 * i, 0, 0], abs=3)
        assert f'alt="picture {i} said 0 ways"' in article
        assert article.count("<li>") == 5
    assert "one in 2 of the 7 test images, in their order; none is picked by hand." in text
    assert "Beam 20.</p>" in text


def test_dsds_own_dense_phase_is_the_baseline(told, corpus, tmp_path):
    (one,) = articles(page([told("dsd")], corpus, tmp_path, images=1, beam=1))
    assert told_of(one) == {
        "baseline": "dense 1 of t0.jpg",
        "sparse": "dense/sparse 1 of t0.jpg",
        "dsd": "dense/sparse/redense 1 of t0.jpg",
    }


def test_the_page_asks_for_nothing_and_escapes_what_it_tells(told, corpus, tmp_path):
    text = page([told("dsd", extra=" <script>alert('&')</script>")], corpus, tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in text
    assert not re.search(r"https?:|//|url\(|@import|href", re.sub(r'src="data:[^"]*"', "", text))
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text


def test_images_that_are_not_there_are_left_out_and_counted(told, corpus, tmp_path):
    record = told("dsd")
    for i in (0, 1, 3):
        (corpus / "Flicker8k_Dataset" / f"t{i}.jpg").unlink()
    text = page([record], corpus, tmp_path, images=50)
    shown = [told_of(article)["dsd"].split()[-1] for article in articles(text)]
    assert shown == ["t2.jpg", "t4.jpg", "t5.jpg", "t6.jpg"]
    assert "one in 1 of the 4 test images" in text
    assert "3 of 7 test images are not in the folder." in text


def test_no_words_are_shown_as_none(told, corpus, tmp_path, monkeypatch):
    record = told("dsd")
    monkeypatch.setattr(gallery, "_captions", lambda *_: [""] * 7)
    assert told_of(articles(page([record], corpus, tmp_path))[0])["dsd"] == "(no words)"
    assert gallery.draw([record], corpus, tmp_path / "g.png", 1, 20).exists()


def test_the_picture_holds_the_same_and_is_the_same_bytes_each_time(told, corpus, tmp_path):
    record = told("dsd", extra=" $5 $6")
    runs = gallery.of_one_seed([record], "")
    shown, notes = gallery.choose(runs, gallery.captions(runs, 20), corpus, 3)
    figure = gallery.picture("title", notes, shown)
    lines = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [line for line in lines if line.startswith("dense/sparse/redense")] == [
        f"dense/sparse/redense 20 of t{i}.jpg $5 $6" for i in (0, 2, 4)
    ]
    assert lines.count("picture 2 said 0 ways") == 1
    paths = [gallery.draw([record], corpus, tmp_path / f"{i}.png", 3, 20) for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_cannot_be_shown_is_refused(told, corpus, tmp_path):
    record = told("dsd")
    out = tmp_path / "g.html"

    def refused(fault: str, paths=(record,), out=out, beam=20) -> None:
        with pytest.raises(UserError, match=fault):
            gallery.draw(paths, corpus, out, 3, beam)

    refused("one recipe, scale and seed", [record, told("baseline", seed=1)])
    refused(r"seed0\.json: has no captions by beam 3; --beam may be: 1, 20", beam=3)
    refused(r"--out .*g\.pdf: a gallery is a \.html or a \.png", out=tmp_path / "g.pdf")
    tokens = corpus / "Flickr8k_text" / flickr8k.TOKENS
    text = tokens.read_text()
    tokens.write_text(text.replace("Picture 3", "Another 3"))
    refused(r"seed0\.json: its test split is not that of .*flickr8k; point FLICKR8K at")
    tokens.write_text(text)
    for image in (corpus / "Flicker8k_Dataset").glob("t*.jpg"):
        image.unlink()
    refused("holds none of the 7 test images")
    assert not out.exists()


def test_the_command_keeps_photographs_out_of_results(house, told, corpus, monkeypatch):
    monkeypatch.chdir(house.suite.root)
    monkeypatch.setattr("analysis.commands.corpus_folder", lambda suite, recipe, runs: corpus)
    app = typer.Typer()
    add_commands(app)
    done = CliRunner().invoke(app, ["gallery", str(told("dsd", scale="short")), "--images", "2"])
    out = house.suite.root / "runs" / "figures" / f"{NAME}.short.seed0.gallery.html"
    assert done.stdout.replace("\n", "") == str(out)
    assert len(articles(out.read_text())) == 2
    other = CliRunner().invoke(app, ["gallery", str(house.run("dsd", 0, 29.0))])
    assert "is not of flickr8k" in str(other.exception)
