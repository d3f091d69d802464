"""The documentation as a site: it builds with every link right, and holds every public name."""

import importlib
import os
import re
import subprocess
import sys

import pytest

import dsd
from tests.docs.pages import PAGES, ROOT

API = (ROOT / "docs" / "api.md").read_text()


def test_every_page_is_in_the_menu():
    menu = re.findall(r"[\w/.-]+\.md$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert sorted(menu) == sorted(
        str(page.relative_to(ROOT)) for page in [*PAGES, ROOT / "CHANGELOG.md"]
    )


def test_every_public_name_has_its_docstring_on_a_page():
    shown = re.findall(r"^::: (\S+)$", API, re.M)
    public = {*dsd.__all__, "open_suite"} - {"__version__"}
    assert {f"dsd.{name}" for name in public} <= {*shown}
    for path in shown:
        module, _, name = path.rpartition(".")
        if module.rpartition(".")[2] in ("transformers", "lightning"):  # may not be installed
            source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
            assert f"class {name}" in source
        else:
            assert getattr(importlib.import_module(module), name).__doc__


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("mkdocstrings_handlers.python", reason="mkdocstrings is not installed")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "docs" / "api" / "index.html").read_text()
    for name in re.findall(r"^::: (\S+)$", API, re.M):
        assert f'id="{name}"' in page, name
    assert (tmp_path / "results" / "report.html").exists()
    home = (tmp_path / "index.html").read_text()
    fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)", home)
    assert fetched == []  # nothing is asked of other servers
