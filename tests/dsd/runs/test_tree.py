"""Settings are compared through their models: a key added with its default changes nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dsd
from dsd.errors import UserError
from dsd.runs.settings import Settings, difference, digest
from dsd.training.algorithm import train_arm
from tests.dsd.running import make_run

ADDED = {  # file -> a line of it, and the same with a key more
    "suite/decay.py": (
        "    power: Positive = 0.5\n",
        "    power: Positive = 0.5\n    warmup: float = 0.0\n",
    ),
    "suite/recipe.py": (
        "    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None\n",
        "    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None\n"
        "    foreach: bool | None = None\n",
    ),
    "runs/settings.py": (
        "    compile: bool = False\n",
        "    compile: bool = False\n    tf32: bool = False\n",
    ),
}


@pytest.mark.parametrize("changed", [(), ("phases.dense.epochs=0.5", "phases.sparse.lr=0.02")])
def test_a_setting_added_with_a_default_leaves_finished_runs_finished(own_suite, tmp_path, changed):
    """The program itself is changed: a copy of dsd/ with new keys, and a task with one."""
    package = tmp_path / "later" / "dsd"
    shutil.copytree(Path(dsd.__file__).parent, package, ignore=shutil.ignore_patterns("*.pyc"))

    def run() -> None:
        words = ["run", "points-mlp", "--scale", "mini", "--arm", "dsd", *changed]
        environment = {**os.environ, "PYTHONPATH": str(package.parent)}
        command = [sys.executable, "-m", "dsd", *words]
        subprocess.run(command, cwd=own_suite, env=environment, check=True, capture_output=True)

    run()
    before = {path: path.stat().st_mtime_ns for path in own_suite.glob("runs/**/*.*")}
    for name, (line, more) in ADDED.items():
        text = (package / name).read_text()
        assert line in text, name
        (package / name).write_text(text.replace(line, more))
    task = own_suite / "recipes" / "points" / "task.py"
    text = task.read_text()
    assert "    width: int\n" in text
    task.write_text(text.replace("    width: int\n", "    width: int\n    depth: int = 2\n"))
    run()
    after = {path: path.stat().st_mtime_ns for path in own_suite.glob("runs/**/*.*")}
    assert {p: t for p, t in after.items() if "seed0" in p.parts} == {
        p: t for p, t in before.items() if "seed0" in p.parts
    }


def test_layers_stand_for_what_is_excluded(own_suite):
    run = make_run(own_suite)
    train_arm(run, "baseline")
    same = make_run(own_suite, "exclude=['0.weight']")
    same.usual = same.recipe  # as if the recipe had always said it so
    assert same.path("baseline")[0].finished
    other = make_run(own_suite, "exclude=['3']")
    other.usual = other.recipe
    with pytest.raises(UserError, match=r"trained with other settings \(layers"):
        train_arm(other, "baseline")


def test_differences_are_named_and_digests_tell_runs_apart(own_suite):
    run = make_run(own_suite)
    settings = run.path("dsd")[-1].settings
    raw = settings.model_dump(mode="json")
    assert difference(Settings.model_validate(raw), settings) == ""
    old = {**raw, "hand_on": raw["carry_over"]}  # the key's name in version 0.1.0
    del old["carry_over"], old["layers"]
    assert difference(Settings.model_validate(old), settings) == ""
    on_two = Settings.model_validate({**raw, "processes": 2})  # a setting in version 0.1.0
    assert difference(on_two, settings) == ""
    assert digest(on_two) == digest(settings)
    raw["path"][1]["phase"]["lr"] = 3.0
    changed = Settings.model_validate(raw)
    assert difference(changed, settings) == "path.1.phase.lr: 3.0 then, 0.01 now"
    assert digest(changed) != digest(settings)
    assert digest(settings) == digest(settings.model_copy(update={"seed": 5}))


def test_a_damaged_phase_file_is_refused_by_name(own_suite):
    run = make_run(own_suite)
    train_arm(run, "baseline")
    path = run.path("baseline")[0].folder / "phase.json"
    good = json.loads(path.read_text())
    for text in ("", "[]", "{", json.dumps({**good, "parameters": "many"})):
        path.write_text(text)
        with pytest.raises(UserError, match=r"phase\.json"):
            train_arm(run, "baseline")


def test_a_task_whose_settings_have_changed_is_refused_in_one_line(own_suite, monkeypatch):
    train_arm(make_run(own_suite), "baseline")
    points = own_suite / "recipes" / "points"
    for file in (points / "task.py", points / "mlp.yaml"):
        text = (
            file.read_text()
            .replace("width: ", "units: ")
            .replace("settings.width", "settings.units")
        )
        file.write_text(text)
    monkeypatch.delitem(sys.modules, "recipes.points.task")  # as a new process would find it
    with pytest.raises(UserError, match=r"trained with other settings \(task\."):
        train_arm(make_run(own_suite), "baseline")
