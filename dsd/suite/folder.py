"""A suite is a folder with `recipes/`. The core finds it and imports a recipe's task by path."""

import importlib.util
import os
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dsd.errors import UserError, printable
from dsd.suite.names import NAME, nearest

if TYPE_CHECKING:  # recipes import pydantic, which a list of commands doesn't need
    from dsd.suite.recipe import Recipe
    from dsd.suite.task import Task


HOME = Path(__file__).resolve().parents[2]  # the checkout of dsd, where it is run from one


@dataclass(frozen=True)
class Suite:
    """A folder that holds `recipes/<corpus>/<network>.yaml` beside `recipes/<corpus>/task.py`."""

    root: Path

    @property
    def recipes(self) -> dict[str, Path]:
        """Returns {"<corpus>-<network>": file}, sorted."""
        files = sorted((self.root / "recipes").glob("*/*.yaml"))
        return {f"{file.parent.name}-{file.stem}": file for file in files}

    @property
    def corpora(self) -> list[str]:
        """Returns the names of the corpora that have a task."""
        return sorted(file.parent.name for file in (self.root / "recipes").glob("*/task.py"))

    def recipe(self, name: str, scale: str = "full", overrides: tuple[str, ...] = ()) -> "Recipe":
        """Reads one recipe. Raises UserError when there is none of that name, or it is invalid."""
        recipes = self.recipes
        if name not in recipes:
            raise UserError(f"no recipe is called {name!r}{nearest(name, recipes)} (see: dsd list)")
        from dsd.suite.recipe import load_recipe

        return load_recipe(recipes[name], scale, overrides)

    def task_module(self, corpus: str) -> ModuleType:
        """Imports `recipes/<corpus>/task.py`."""
        if corpus not in self.corpora:
            raise UserError(f"no corpus is called {corpus!r}{nearest(corpus, self.corpora)}")
        return self._import(self.root / "recipes" / corpus / "task.py")

    def task(self, recipe: "Recipe", corpus: Path, seed: int, workers: int) -> "Task":
        """Returns the recipe's task on a folder's data. Raises UserError for invalid settings."""
        from dsd.suite.recipe import validate

        module = self.task_module(recipe.corpus)
        where = f"{self.recipes[recipe.name]}: task"
        checked = validate(module.Settings, recipe.task, where)
        task: Task = module.task(checked, corpus, seed, workers)
        return task

    def task_for_tests(self, recipe: "Recipe", corpus: Path, workers: int) -> "Task":
        """Returns the task to score weights with: on the test sets alone, where it offers that."""
        from dsd.suite.recipe import validate

        module = self.task_module(recipe.corpus)
        if not hasattr(module, "tests_alone"):
            return self.task(recipe, corpus, 0, workers)
        checked = validate(module.Settings, recipe.task, f"{self.recipes[recipe.name]}: task")
        task: Task = module.tests_alone(checked, corpus, workers)
        return task

    def commands(self) -> dict[Path, dict[str, str]]:
        """Returns the commands that tasks and the analysis add: name and help, by their file.

        They are data, commands.toml beside commands.py, so that nothing of a suite runs before one
        of its commands is called. A suite without an analysis has the checkout's. Raises UserError
        for a file that declares anything else.
        """
        analysis = self.root / "analysis/commands.toml"
        files = [
            *(self.root / "recipes").glob("*/commands.toml"),
            analysis if analysis.exists() else HOME / "analysis/commands.toml",
        ]
        return {file.with_suffix(".py"): _declared(file) for file in sorted(files) if file.exists()}

    def command_module(self, path: Path) -> ModuleType:
        """Imports a commands.py, of this suite or of the checkout of dsd."""
        return (self if path.is_relative_to(self.root) else Suite(HOME))._import(path)

    def _import(self, path: Path) -> ModuleType:
        name = ".".join(path.relative_to(self.root).with_suffix("").parts)
        loaded = sys.modules.get(name)
        if loaded is not None and loaded.__file__ == str(path):
            return loaded
        announce(self.root)
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (ImportError, SyntaxError, NameError, AttributeError) as error:
            del sys.modules[name]
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            kind = type(error).__name__
            raise UserError(
                f"{path}: cannot be imported ({kind}: {error}{line}); fix it"
            ) from error
        return module


def _declared(path: Path) -> dict[str, str]:
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    for name, words in raw.items():
        if name.startswith("-") or not NAME.fullmatch(name) or not isinstance(words, str):
            raise UserError(f'{path}: {name}: expected a command\'s name = "a line of help"')
    return raw


def announce(root: Path) -> None:
    """Says, once for each suite but the checkout of dsd itself, that its code is about to run."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    known = state / "dsd" / "suites"
    if root == HOME or str(root) in _lines(known):
        return
    print(
        f"dsd: {printable(str(root))}: the Python files of this suite run with your rights, use "
        f"only suites that you trust; said once ({known})",
        file=sys.stderr,
    )
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        with known.open("a", encoding="utf-8") as file:
            file.write(f"{root}\n")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []


def find_suite(start: Path | None = None) -> Suite | None:
    """Returns the suite in a folder or the nearest one above that holds recipes, or None."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if any((folder / "recipes").glob("*/*.yaml")):
            return Suite(folder)
    return None


def the_suite() -> Suite:
    """Returns the suite around the working folder; raises UserError when there is none."""
    suite = find_suite()
    if suite is None:
        raise UserError(
            f"no recipes/<corpus>/<network>.yaml in {Path.cwd()} or above; "
            "go to a checkout of the suite, or to a folder of your own with recipes/"
        )
    return suite


def corpus_folder(suite: Suite, recipe: "Recipe", runs: Path) -> Path:
    """Returns the folder with the recipe's data.

    The miniature is written on first use. The real corpus is the folder in the variable named
    after the corpus, e.g. IMAGENET. Raises UserError when there is no such folder.
    """
    module = suite.task_module(recipe.corpus)
    if recipe.scale == "mini":
        folder = runs / "miniature" / recipe.corpus
        module.miniature(folder)
        return folder
    miniature = (
        f"\nOr run the miniature:  dsd run {recipe.name} --scale mini"
        f"   (make {recipe.name}-dsd SCALE=mini)"
    )
    return given_folder(recipe.corpus, module, recipe.name, f"dsd run {recipe.name}", miniature)


def given_folder(
    corpus: str, module: ModuleType, who: str, command: str, otherwise: str = ""
) -> Path:
    """Returns the folder in the corpus's variable, e.g. IMAGENET.

    module: the corpus's task module. Raises UserError when there is no such folder, saying `who`
    needs it, what to get, and the `command` to give then.
    """
    variable = corpus.upper()
    given = os.environ.get(variable)
    if given and Path(given).is_dir():
        return Path(given)
    fault = f"is {given}, where no folder is" if given else "is not set"
    raise UserError(
        f"{variable} {fault}: {who} needs the {corpus} corpus.\n"
        f"Layout expected:\n{_indent(module.LAYOUT)}\n"
        f"Where to get it:\n{_indent(module.SOURCE)}\n"
        f"Then:  {variable}=/path {command}{otherwise}"
    )


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.strip().splitlines())
