"""`dsd report`: where the page goes, and that a kept page is one of the same records and code."""

import pytest

from analysis.report import page, write
from dsd.errors import UserError


@pytest.fixture
def built(house, monkeypatch):
    """Three seeds; returns a list that grows by one whenever a page is made."""
    monkeypatch.delenv("FLICKR8K", raising=False)
    house.three_seeds()
    made = []
    build = page.build
    monkeypatch.setattr(page, "build", lambda *given: made.append(1) or build(*given))
    return made


def test_the_same_again_is_a_copy_and_a_changed_record_a_new_page(house, built, tmp_path):
    first = write.write(house.suite, house.runs, None, None)
    assert first == house.suite.root / "results" / "report.html"
    text = first.read_bytes()
    first.write_text("spoilt")
    assert write.write(house.suite, house.runs, None, None).read_bytes() == text
    assert len(built) == 1
    house.run("dsd", 2, 32.0, 33.0, 10.0)
    assert write.write(house.suite, house.runs, None, tmp_path / "a.html").read_bytes() != text
    recipe = house.suite.recipes["images-resnet18"]
    recipe.write_text(recipe.read_text().replace("sparsity: 0.3", "sparsity: 0.4"))
    write.write(house.suite, house.runs, None, None)
    assert len(built) == 3
    assert len(list((house.suite.root / "runs" / "cache").glob("report.*"))) == 1


def test_one_scale_goes_to_runs_and_none_is_refused(house, built):
    house.run("dsd", 0, 30.0, scale="short")
    path = write.write(house.suite, house.runs, "short", None)
    assert path == house.suite.root / "runs" / "report.html"
    with pytest.raises(UserError, match=r"results/runs: no record of scale mini; make some"):
        write.write(house.suite, house.runs, "mini", None)
