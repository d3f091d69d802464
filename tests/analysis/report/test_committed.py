"""The committed pictures and the committed report are what the committed records give."""

from pathlib import Path

from analysis.figures import files
from analysis.report import write
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[3]


def test_the_committed_figures_are_fresh():
    files.check(Suite(ROOT))


def test_the_committed_report_is_fresh(monkeypatch):
    monkeypatch.delenv("FLICKR8K", raising=False)
    made = write.page(Suite(ROOT), ROOT / "results" / "runs", None)
    stale = "results/report.html is stale; write anew with: dsd report"
    assert made == (ROOT / "results" / "report.html").read_text(encoding="utf-8"), stale
