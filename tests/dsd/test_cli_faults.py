"""Any fault is one line: empty values, settings, names, surprises; and what is imported when."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_group

from dsd.cli import app
from dsd.errors import UserError, explain
from dsd.suite.folder import Suite, find_suite
from dsd.suite.recipe import load_recipe
from dsd.suite.values import parse_override

ROOT = Path(__file__).parents[2]
MLP = ROOT / "tests" / "own_suite" / "recipes" / "points" / "mlp.yaml"
RUN = ("run", "points-mlp", "--scale", "mini", "--arm", "baseline")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["eval", "points-mlp", "--weights", ""], "--weights"),
        (["eval", "points-mlp", "--weights="], "--weights"),
        (["run", "points-mlp", "--runs", " "], "--runs"),
        (["run", "points-mlp", "--records="], "--records"),
        (["export", ""], "argument 2"),
        (["export", "runs/x", "--to", ""], "--to"),
        (["verify", "points", ""], "argument 3"),
        (["fetch", "points", "--folder", ""], "--folder"),
        (["run", "points-mlp", ""], "argument 3"),
        (["run", ""], "argument 2"),
    ],
)
def test_an_empty_value_is_refused_everywhere(dsd, own_suite, words, named):
    done = dsd(*words, cwd=own_suite)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dsd: {named}: is empty; is a variable not set?")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("phases.dense.epochs=.inf", "phases.dense.epochs: inf is no finite number"),
        ("phases.dense.lr=.nan", "nan is no finite number"),
        ("phases.dense.epochs=2020-13-45", "phases.dense.epochs: Input should be a valid number"),
        ("phases.dense.epochs=2020-01-01", "phases.dense.epochs: Input should be a valid number"),
        ("phases.dense.lr=1.0e300", "phases.dense.lr: Input should be less than or equal"),
        ("phases.dense.epochs=" + "9" * 5000, "Exceeds the limit"),
        ("phases.dense.epochs=99999999999999999999", "an integer of more than 64 bits"),
        ("title=&a [*a]", "not valid YAML"),
        ("title=!!binary aGk=", "bytes is no number"),
        ("title=!!set {a}", "set is no number"),
        ('title="a\\0b"', "holds control characters"),
        ("title=" + "[" * 5000, "nested too deeply"),
        ("title=" + "[" * 30 + "]" * 30, "nested too deeply"),
        (".".join("a" * 3000) + "=1", "nested too deeply|unknown key"),
        ("name=x", "name: follows from the recipe's file"),
        ("corpus=x", "corpus: follows from the recipe's file"),
        ("scale=x", "scale: follows from the recipe's file"),
        ("optimizer.eps=-1", "optimizer.eps: Input should be greater than 0"),
        ("optimizer.alpha=5", "optimizer.alpha: Input should be less than 1"),
        ("optimizer.weight_decay=.inf", "inf is no finite number"),
        ("optimizer.betas=[0.9, 1.5]", "optimizer.betas.1: Input should be less than 1"),
        ("optimizer.name=adam", "adam has no momentum; drop .*: optimizer.momentum=null"),
        ("optimizer.name=rmsprop_eps_inside", "optimizer.momentum=null"),
        ("phases.../../x={epochs: 1, lr: 0.1}", "is no name: use letters, digits, - and _ alone"),
        ("arms.dsd.phases=[dense, ../../x]", "'../../x' is no name"),
        ("arms.a b={source: ours, phases: [dense]}", "'a b' is no name"),
    ],
    ids=lambda text: text[:40],
)
def test_a_setting_that_cannot_be_is_one_line(override, said):
    with pytest.raises(UserError, match=said) as caught:
        load_recipe(MLP, "mini", (override,))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_dates_stay_text_and_dropped_keys_are_gone():
    assert parse_override("title=2020-01-01") == {"title": "2020-01-01"}
    dropped = ("optimizer.name=adam", "optimizer.momentum=null")
    assert load_recipe(MLP, "mini", dropped).optimizer.momentum is None


@pytest.mark.parametrize("width", [999_999_999_999, 2**63 - 1])
def test_a_size_that_cannot_be_allocated_is_one_line(dsd, own_suite, width):
    done = dsd(*RUN, f"task.width={width}", cwd=own_suite)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("dsd: not enough memory (")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--time-limit", "--checkpoint-every"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_times_are_finite(dsd, own_suite, option, value):
    done = dsd(*RUN, option, value, cwd=own_suite)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dsd: {option} ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--jobs", "2"), "--jobs: is for this machine; with --slurm give at_once=N"),
        (
            ("--time-limit", "2"),
            "--time-limit: is for this machine; with --slurm give time=H:MM:SS",
        ),
    ],
)
def test_what_slurm_decides_is_refused_beside_it(dsd, own_suite, option, said):
    words = ("sweep", "points-mlp", "--scale", "mini", *option, "--slurm", "gpus=1")
    done = dsd(*words, "--dry-run", cwd=own_suite)
    assert done.returncode == 2
    assert done.stderr == f"dsd: {said}\n"


def test_markup_in_a_path_is_text(dsd, own_suite):
    runs = own_suite / "[red]x[/b]"
    done = dsd(*RUN, "--runs", str(runs), cwd=own_suite)
    assert done.returncode == 0, done.stderr
    assert f"record:  {runs}" in done.stderr


FAULTY = "\n\ndef verify(folder):\n    raise KeyError('what \\x1b[31m nobody foresaw')\n"


def test_what_nobody_foresaw_is_one_line_and_a_file(dsd, own_suite, tmp_path):
    task = own_suite / "recipes" / "points" / "task.py"
    task.write_text(task.read_text() + FAULTY)
    (tmp_path / "temp").mkdir()
    done = dsd("verify", "points", ".", cwd=own_suite, TMPDIR=str(tmp_path / "temp"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    line = task.read_text().splitlines().index(FAULTY.splitlines()[-1]) + 1
    assert done.stderr.startswith(f"dsd: {task}:{line}: KeyError: "), "whose fault it is"
    assert "\x1b" not in done.stderr
    (file,) = (tmp_path / "temp").glob("dsd-error-*.txt")
    assert str(file) in done.stderr
    assert "Traceback" in file.read_text()
    assert "nobody foresaw" in file.read_text()
    for words in (["--debug", "verify", "points", "."], ["verify", "points", ".", "--debug"]):
        done = dsd(*words, cwd=own_suite, TMPDIR=str(tmp_path / "temp"))
        assert done.returncode == 1
        assert "Traceback" in done.stderr


def test_errors_are_told_apart():
    full = OSError(28, "No space left on device")
    assert explain(UserError("a\x00b")) == ("a\\x00b", 2)
    assert explain(MemoryError("x"))[1] == 2
    assert explain(RuntimeError("DefaultCPUAllocator: can't allocate memory: 7"))[1] == 2
    assert explain(FileNotFoundError(2, "No such file", "a[b]"))[0].startswith("a[b]: No such file")
    assert explain(full)[1] == 2


SPY = """
from pathlib import Path
Path(__file__).with_name("imported").touch()
def add_commands(app):
    @app.command()
    def hello() -> None:
        "Says hello."
        print("hello")
"""


@pytest.fixture
def spied(own_suite):
    """A suite that notes when its commands.py is imported."""
    folder = own_suite / "recipes" / "points"
    (folder / "commands.py").write_text(SPY)
    (folder / "commands.toml").write_text('hello = "Says hello."\n')
    return own_suite


def test_a_suites_code_is_imported_when_its_command_is_called(dsd, spied):
    mark = spied / "recipes" / "points" / "imported"
    for words in (["--version"], ["--help"], ["list"], ["helo"], [], ["run", "--help"]):
        done = dsd(*words, cwd=spied)
        assert not mark.exists(), words
    assert "Says hello." in dsd("--help", cwd=spied).stdout
    assert "did you mean 'hello'?" in dsd("helo", cwd=spied).stderr
    done = dsd("hello", cwd=spied)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert mark.exists()


@pytest.mark.parametrize(
    "text",
    ['run = "mine"', "[hello]", '--help = "x"', '"a b" = "x"', "hello = 1", "{", 'run = "a\\n'],
)
def test_a_declaration_that_cannot_be_is_refused(dsd, spied, text):
    (spied / "recipes" / "points" / "commands.toml").write_text(text)
    done = dsd("list", cwd=spied)
    assert done.returncode == 2
    assert "commands.toml: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_declared_is_what_is_there():
    suite = find_suite(ROOT)
    assert suite is not None
    for file, declared in suite.commands().items():
        from typer import Typer

        own = Typer()
        suite.command_module(file).add_commands(own)
        commands = get_group(own).commands
        assert commands.keys() == declared.keys(), file
        for name, words in declared.items():
            first = " ".join((commands[name].help or "").partition("\n\n")[0].split())
            assert first == words, name


def test_no_declared_command_is_dsds_own():
    own = set(get_group(app).commands)
    for declared in Suite(ROOT).commands().values():
        assert not own & declared.keys()


def test_the_first_use_of_another_suite_says_that_its_code_runs(tmp_path):
    import shutil

    suite = shutil.copytree(ROOT / "tests" / "own_suite", tmp_path / "other")
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "dsd", "verify", "points", "."],
            cwd=suite,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")},
            capture_output=True,
            text=True,
        )
        assert done.stdout == "128 points\n"
        said.append(done.stderr)
    assert re.fullmatch(rf"dsd: {suite}: the Python files of this suite run .*\n", said[0])
    assert said[1] == ""


def test_recipes_of_this_suite_are_all_plain():
    for path in Suite(ROOT).recipes.values():
        raw = yaml.safe_load(path.read_text())
        for scale in ("full", *(raw.get("scales") or {})):
            load_recipe(path, scale)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nonexistent_module\n",
            "ModuleNotFoundError: No module named 'nonexistent_module'",
        ),
        ("def task(:\n", "SyntaxError: invalid syntax"),
        ("x = undefined\n", "NameError: name 'undefined' is not defined"),
    ],
)
def test_a_task_that_cannot_be_imported_is_named(dsd, own_suite, code, said):
    task = own_suite / "recipes" / "points" / "task.py"
    task.write_text(code + task.read_text())
    done = dsd(*RUN, cwd=own_suite)
    assert done.returncode == 2
    assert f"dsd: {task}: cannot be imported ({said}" in done.stderr
    assert done.stderr.count("\n") <= 2, "and the line that the suite's code runs"


def test_the_next_commands_are_ones_that_work(dsd, own_suite):
    done = dsd(*RUN, "--arm", "dsd", "--arm", "finetune", cwd=own_suite)
    (words,) = (line.split() for line in done.stderr.splitlines() if "  dsd weights" in line)
    assert dsd(*words[1:], cwd=own_suite).returncode == 0


def test_a_terminal_of_ascii_gets_escapes(dsd, own_suite):
    done = dsd("show", "points-mlp", cwd=own_suite, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr


def test_a_folder_in_place_of_a_record_is_named(dsd, own_suite):
    done = dsd("publish", ".", cwd=own_suite)
    assert done.returncode == 2
    assert "is a folder; name a record (.json) in it" in done.stderr


@pytest.mark.parametrize("command", ["tables", "figures", "report"])
def test_a_folder_without_a_record_is_named(dsd, own_suite, command):
    (own_suite / "empty").mkdir()
    done = dsd(command, "--records", "empty", cwd=own_suite)
    assert done.returncode == 2
    assert "dsd: --records empty: holds no record" in done.stderr
