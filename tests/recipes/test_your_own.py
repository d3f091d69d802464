"""The pages on your own data: the commands that each begins with work, and the report shows it."""

import re
import shlex
from pathlib import Path

import pytest

from data.mini import captioned, folders, manifest
from dsd.runs.record import read

DOCS = Path(__file__).parents[2] / "docs"
IMAGES = ["task.weights=null", "task.crop=64", "task.resize=72"]
PAGES = {  # page: its miniature's writer, the place that it names, settings that make it short
    "your-images": (folders.write, "/path/to/pictures", IMAGES),
    "your-speech": (manifest.write, "/path/to/speech", ["task.hidden=32"]),
    "your-captions": (captioned.write, "/path/to/pictures", ["task.threshold=2"]),
}
FOREIGN = re.compile(r"beside the paper|the paper's figures and ours|not verified", re.I)


def commands(page: str) -> list[list[str]]:
    """Returns the words of each line of a page's first block."""
    text = (DOCS / f"{page}.md").read_text()
    block = re.search(r"^```\n(.*?)^```", text, re.S | re.M)
    assert block
    return [shlex.split(line) for line in block[1].splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_first_commands_of_a_page_work_as_they_stand(page, dsd, tmp_path):
    write, place, settings = PAGES[page]
    own = tmp_path / "my own data"
    write(own)
    (own / "MINIATURE").unlink()  # from here on it is a folder like any other
    if page == "your-speech":
        own = own / "discs"
        (own / "MINIATURE").unlink()
    runs = tmp_path / "runs"
    for words in commands(page):
        words = [word.replace(place, str(own)) for word in words]
        words = [re.sub(r"(^|=)speech$", rf"\1{tmp_path / 'speech'}", word) for word in words]
        given = dict(word.split("=", 1) for word in words if re.match("[A-Z0-9]+=", word))
        words = words[len(given) + 1 :]
        if words[0] == "run":
            phases = re.findall(
                r"^  (\w+): \{epochs", recipe_text(words[1]).partition("scales:")[0], re.M
            )
            short = [f"phases.{name}.epochs=0.2" for name in phases]
            words += ["--runs", str(runs), *settings, *short]
        done = dsd(*words, OMP_NUM_THREADS="1", **given)
        assert done.returncode == 0, done.stderr
    found = [read(path) for path in (runs / "records").glob("*.json")]
    assert sorted(record.arm for record in found) == ["dsd", "finetune"]
    done = dsd("report", "--records", str(runs / "records"), "--out", str(tmp_path / "r.html"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "r.html").read_text()
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>", "", text, flags=re.S)
    assert found[0].title in words
    assert not FOREIGN.search(words)
    done = dsd("figures", "--records", str(runs / "records"))
    assert done.returncode == 0, done.stderr
    assert list((runs / "figures").glob("*.curves.png"))
    done = dsd("tables", "--records", str(runs / "records"))
    assert done.returncode == 0, done.stderr
    assert "Under the paper's conditions" not in done.stdout


def recipe_text(name: str) -> str:
    corpus, network = name.split("-")
    return (DOCS.parent / "recipes" / corpus / f"{network}.yaml").read_text()
