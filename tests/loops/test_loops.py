"""Other libraries' optimizers and trainers, where they are installed; the page that shows them."""

import importlib.util
import json

import pytest

from tests.loops.optimizers import outcome
from tests.loops.survey import BEGIN, END, LIBRARIES, OUTCOMES, PAGE, QUESTIONS, table
from tests.loops.trainers import TRAINERS

MODULES = {"pytorch-ignite": "ignite"}  # distributions whose module has another name


def needs(package: str) -> None:
    if importlib.util.find_spec(MODULES.get(package, package.replace("-", "_"))) is None:
        pytest.skip(f"{package} is not installed")


def test_the_page_shows_the_outcomes():
    written = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert written == table(json.loads(OUTCOMES.read_text()))


def test_no_outcome_is_silently_wrong():
    """Masks are held, or the optimizer is refused by name."""
    for library in json.loads(OUTCOMES.read_text())["optimizers"].values():
        for name, found in library["outcomes"].items():
            if found["plain"] == "yes":
                assert found["held"] == "yes" or "Error" in found["held"], name


@pytest.mark.parametrize("name", ["a plain loop", "accelerate"])
def test_the_trainers_of_the_suites_own_packages(name):
    answers = TRAINERS[name][1]()
    assert (answers["held"], answers["resume"]) == ("yes", "yes")


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_trainers(name):
    needs(TRAINERS[name][0])
    answers = TRAINERS[name][1]()
    assert (answers["held"], answers["resume"]) == ("yes", "yes")


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_optimizers_do_as_the_page_says(library):
    needs(library)
    expected = json.loads(OUTCOMES.read_text())["optimizers"][library]["outcomes"]
    for name, make in LIBRARIES[library]():
        if name in expected:
            found = outcome(make)
            wrong = {q for q in QUESTIONS if expected[name][q] == "yes" and found[q] != "yes"}
            assert not wrong, (name, found)
