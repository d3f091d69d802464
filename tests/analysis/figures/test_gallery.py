"""The gallery of a corpus made by hand: each caption beside its own image."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.figures import gallery
from analysis.figures.files import save
from analysis.groups import of_one_seed
from data import flickr8k
from data.images import MINIATURE
from dsd.errors import UserError
from dsd.runs.record import read

NAME = "flickr8k-neuraltalk"


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


def shown(paths, corpus, images=3, beam=20) -> gallery.Gallery:
    return gallery.of_runs(of_one_seed(paths, ""), corpus, images, beam)


def articles(text: str) -> list[str]:
    return re.findall(r"<article>.*?</article>", text, re.S)


def told_of(article: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", article))


def test_every_image_stands_beside_its_own_captions(told, corpus):
    text = shown([told("finetune"), told("dsd"), told("baseline")], corpus).page
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
    assert "Beam 20; seed 0.</p>" in text


def test_dsds_own_dense_phase_is_the_baseline(told, corpus):
    (one,) = articles(shown([told("dsd")], corpus, images=1, beam=1).page)
    assert told_of(one) == {
        "baseline": "dense 1 of t0.jpg",
        "sparse": "dense/sparse 1 of t0.jpg",
        "dsd": "dense/sparse/redense 1 of t0.jpg",
    }


def test_the_page_asks_for_nothing_and_escapes_what_it_tells(told, corpus):
    text = shown([told("dsd", extra=" <script>alert('&')</script>")], corpus).page
    assert "<script" not in text
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in text
    assert not re.search(r"https?:|//|url\(|@import|href", re.sub(r'src="data:[^"]*"', "", text))
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text


def test_images_that_are_not_there_are_left_out_and_counted(told, corpus):
    record = told("dsd")
    for i in (0, 1, 3):
        (corpus / "Flicker8k_Dataset" / f"t{i}.jpg").unlink()
    text = shown([record], corpus, images=50).page
    names = [told_of(article)["dsd"].split()[-1] for article in articles(text)]
    assert names == ["t2.jpg", "t4.jpg", "t5.jpg", "t6.jpg"]
    assert "one in 1 of the 4 test images" in text
    assert "3 of 7 test images are not in the folder." in text


def test_no_words_are_shown_as_none(told, corpus, monkeypatch):
    record = told("dsd")
    monkeypatch.setattr(gallery, "_after", lambda *_: [""] * 7)
    found = shown([record], corpus)
    assert told_of(articles(found.page)[0])["dsd"] == "(no words)"
    lines = [text.get_text() for axes in gallery.picture(found).axes for text in axes.texts]
    assert lines.count("(no words)") == 3 * 3


def test_the_picture_holds_the_same_and_is_the_same_bytes_each_time(told, corpus, tmp_path):
    found = shown([told("dsd", extra=" $5 $6")], corpus)
    figure = gallery.picture(found)
    lines = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [line for line in lines if line.startswith("dense/sparse/redense")] == [
        f"dense/sparse/redense 20 of t{i}.jpg $5 $6" for i in (0, 2, 4)
    ]
    assert lines.count("picture 2 said 0 ways") == 1
    paths = [save(gallery.picture(found), tmp_path, f"{i}") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_cannot_be_shown_is_refused(told, corpus):
    record = told("dsd")

    def refused(fault: str, paths=(record,), beam=20) -> None:
        with pytest.raises(UserError, match=fault):
            shown(paths, corpus, beam=beam)

    refused("one recipe, scale and seed", [record, told("baseline", seed=1)])
    refused(r"seed0\.json: has no captions by beam 3; --beam may be: 1, 20", beam=3)
    tokens = corpus / "Flickr8k_text" / flickr8k.TOKENS
    text = tokens.read_text()
    tokens.write_text(text.replace("Picture 3", "Another 3"))
    refused(r"seed0\.json: its test split is not that of .*flickr8k; point FLICKR8K at")
    tokens.write_text(text)
    for image in (corpus / "Flicker8k_Dataset").glob("t*.jpg"):
        image.unlink()
    refused("holds none of the 7 test images")


def test_the_command_keeps_photographs_out_of_results(house, told, corpus, command, monkeypatch):
    monkeypatch.setattr(gallery, "corpus_folder", lambda suite, recipe, runs: corpus)
    record = told("dsd", scale="short")
    done = command("gallery", record, "--images", "2")
    out = house.suite.root / "runs" / "figures" / f"{NAME}.short.seed0.gallery.html"
    assert done.stdout.replace("\n", "") == str(out)
    assert len(articles(out.read_text())) == 2
    for ending in ("png", "svg"):
        done = command("gallery", record, "--out", out.with_suffix(f".{ending}"))
        assert out.with_suffix(f".{ending}").exists(), done.exception
    pdf = command("gallery", record, "--out", out.with_suffix(".pdf"))
    assert "gallery.pdf: a gallery is a .html, .png or .svg" in str(pdf.exception)
    other = command("gallery", house.run("dsd", 0, 29.0))
    assert "is not of flickr8k" in str(other.exception)


def test_the_miniatures_pictures_come_without_features(house, told):
    mini = gallery.folder(house.suite, read(told("dsd", scale="mini")))
    assert mini == house.suite.root / "runs" / "miniature" / "flickr8k-pictures"
    assert len(flickr8k.load(mini, "test")) == 80
    assert not list(mini.glob("*features*"))
