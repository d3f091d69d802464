"""The committed pictures and the committed report are what the committed records give."""

from pathlib import Path

from analysis.figures import standard
from analysis.report import write
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[3]


def test_the_committed_figures_are_fresh():
    standard.check(Suite(ROOT))


def test_the_committed_report_is_fresh(tmp_path, monkeypatch):
    monkeypatch.delenv("FLICKR8K", raising=False)
    made = write.write(Suite(ROOT), ROOT / "results" / "runs", None, tmp_path / "report.html")
    stale = "results/report.html is stale; write anew with: dsd report"
    assert made.read_bytes() == (ROOT / "results" / "report.html").read_bytes(), stale
