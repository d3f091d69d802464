"""The committed pictures and the committed report are what the committed records give."""

import re
import subprocess
from pathlib import Path

import pytest

from analysis.figures import files
from analysis.report import write
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[3]


def test_the_committed_figures_are_fresh():
    files.check(Suite(ROOT))


def test_the_pictures_that_pages_show_are_committed_and_no_others():
    listed = subprocess.run(
        ["git", "ls-files", "results/figures"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    links = (re.findall(r"results/figures/[^)\s]+\.\w+", page.read_text()) for page in pages)
    assert set(listed.stdout.split()) == {link for found in links for link in found}


def test_the_committed_report_is_fresh(monkeypatch):
    monkeypatch.delenv("FLICKR8K", raising=False)
    made = write.page(Suite(ROOT), ROOT / "results" / "runs", None)
    stale = "results/report.html is stale; write again with: dsd report"
    assert made == (ROOT / "results" / "report.html").read_text(encoding="utf-8"), stale
