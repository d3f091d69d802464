"""The files of the site: pages of the whole repository at their own places, so that links hold."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SHOWN = (
    *("*.md", "docs/**/*.md", "docs/**/*.png", "docs/**/*.ipynb"),
    *("examples/*", "benchmarks/README.md", "legacy/*/*.py"),
    *("results/report.html", "results/tables/*.md", "results/figures/*.png"),
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Returns the theme's files and the repository's, in place of those of docs/ alone."""
    ours = [file for file in files if not file.abs_src_path or not _in_docs(file)]
    for path in sorted({path for shown in SHOWN for path in ROOT.glob(shown) if path.is_file()}):
        name = path.relative_to(ROOT).as_posix()
        ours.append(File.generated(config, name, abs_src_path=str(path)))
    pages = sorted(path.stem for path in (ROOT / "results" / "tables").glob("*.md"))
    listing = "# Tables\n\n" + "".join(f"- [{page}]({page}.md)\n" for page in pages)
    ours.append(File.generated(config, "results/tables/index.md", content=listing))
    return Files(ours)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Names the page behind a link to a folder, which GitHub lists by itself."""
    return markdown.replace("(results/tables/)", "(results/tables/index.md)")


def _in_docs(file: File) -> bool:
    return Path(str(file.abs_src_path)).is_relative_to(ROOT / "docs")
