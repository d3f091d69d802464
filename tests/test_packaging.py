"""What ships and what installs: wheel, lock, conda environment, make targets."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))


def run(*command: str, cwd: Path = ROOT) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def direct_dependencies() -> set[str]:
    groups = [
        PROJECT["project"]["dependencies"],
        PROJECT["project"]["optional-dependencies"]["cli"],
        *PROJECT["dependency-groups"].values(),
    ]
    return {re.split(r"[^a-z0-9-]", need)[0] for group in groups for need in group}


def test_conda_environment_pins_what_the_lock_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pins = [entry for entry in pip if not entry.startswith("--editable")]
    assert pins == [f"{name}=={PINS[name]}" for name in sorted(direct_dependencies())]


def test_lock_pins_every_version_by_hash_and_names_no_place() -> None:
    entries = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)
    requirements = [entry for entry in entries if entry and not entry.startswith("#")]
    assert len(requirements) > len(direct_dependencies())
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==\S+ .*\\\n    --hash=sha256:[0-9a-f]{64}", requirement)
    assert not re.search(r"://|index|find-links|[ =]/\w", LOCK)


def test_lock_holds_the_torch_set() -> None:
    assert (PINS["torch"], PINS["torchvision"], PINS["torchaudio"]) == (
        "2.11.0",
        "0.26.0",
        "2.11.0",
    )


def recipe_runs() -> list[tuple[str, str]]:
    runs = []
    for path in ROOT.glob("recipes/*/*.yaml"):
        arms = yaml.safe_load(path.read_text())["arms"]
        runs += [(f"{path.parent.name}-{path.stem}", arm) for arm in arms]
    return runs


def make(*arguments: str) -> str:
    return run("make", "--no-print-directory", *arguments)


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*) \$\(RUNS\)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    words = make("help").split()
    assert set(phony[1].split()) < set(words)
    listed = {word for word in words if re.fullmatch(r"\w+-\w+-\w+", word)}
    example = {"imagenet-resnet18-dsd"}
    assert listed == {f"{recipe}-{arm}" for recipe, arm in recipe_runs()} | example


def test_every_arm_of_every_recipe_is_a_make_target() -> None:
    for recipe, arm in recipe_runs():
        last = make("-n", f"{recipe}-{arm}", "SEED=3", "SCALE=mini", "ARGS=a.b=1").splitlines()[-1]
        assert last.split() == [
            *(".venv/bin/dsd", "run", recipe, "--arm", arm, "--seed", "3", "--scale", "mini"),
            "a.b=1",
        ]


def test_import_needs_torch_alone() -> None:
    imported = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    bare = set(run(sys.executable, "-c", f"import dsd; {imported}").split())
    assert not {"torch", "numpy"} & bare  # until a name is asked for
    program = f"from dsd import Gradual, Sparsifier, blockwise, magnitude_mask; {imported}"
    extra = set(run(sys.executable, "-c", program).split())
    assert "torch" in extra
    cli = {"accelerate", "pydantic", "rich", "safetensors", "tensorboard", "typer", "yaml"}
    suite = {"PIL", "analysis", "data", "models", "pandas", "recipes", "scipy", "torchvision"}
    assert not extra & (cli | suite)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the checkout with the installed build backend."""
    copy = tmp_path_factory.mktemp("wheel") / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in (
        "dsd",
        "docs",
        "examples",
        "models",
        "data",
        "recipes",
        "analysis",
        "benchmarks",
        "tests",
    ):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    run(sys.executable, "-c", build, cwd=copy)
    return zipfile.ZipFile(next(copy.glob("*.whl")))


def test_wheel_ships_dsd_alone(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dsd").rglob("*.py")}
    assert shipped == modules | {"dsd/py.typed"}


def test_wheel_needs_torch_alone(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    metadata = message_from_bytes(wheel.read(name))
    needs = metadata.get_all("Requires-Dist", [])
    assert [need for need in needs if "extra ==" not in need] == ["torch>=2.4"]
    assert {need.partition("extra == ")[2].strip("\"'") for need in needs} == {
        *("", "cli", "transformers", "lightning", "wandb", "mlflow")
    }
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata["Description-Content-Type"] == "text/markdown"
    described = metadata.get_payload()
    assert "from dsd import Sparsifier" in described
    assert not re.search(r"\]\((?!https://)", described), "a link that leads nowhere outside"
    assert metadata["License-Expression"] == "Apache-2.0"
    scripts = wheel.read(name.replace("METADATA", "entry_points.txt"))
    assert scripts.decode().split() == ["[console_scripts]", "dsd", "=", "dsd.cli:main"]


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment_with_torch_alone(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    """Installs torch of the version that is here, so several gigabytes where it is not cached."""
    python = tmp_path / "venv/bin/python"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    run(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv"))
    needs = (str(wheel.filename), f"torch=={PINS['torch']}")
    run(uv, "pip", "install", "--quiet", "--python", str(python), *needs)
    installed = run(uv, "pip", "list", "--python", str(python))
    assert "dsd-training" in installed
    assert not re.search("numpy|accelerate|pydantic|transformers|lightning", installed)
    shutil.copy(ROOT / "examples/plain_loop.py", tmp_path)
    assert "50% zeros" in run(str(python), "plain_loop.py", cwd=tmp_path)


@pytest.mark.slow
def test_what_uv_builds_passes_twine(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    run(uv, "build", "--quiet", "--out-dir", str(tmp_path))
    files = sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".whl", ".gz"))
    assert [name.rpartition(".")[2] for name in files] == ["whl", "gz"]
    paths = [str(tmp_path / name) for name in files]
    assert "FAILED" not in run(uv, "tool", "run", "twine", "check", "--strict", *paths)
