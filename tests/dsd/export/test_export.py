"""`dsd export` in a suite of one's own: what it writes, what it compares, what it refuses."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from dsd.cli import app
from dsd.errors import UserError
from dsd.export import inference_cost
from dsd.export.export import FILES, export
from dsd.export.model_card import text
from dsd.runs import checkpoint, phase_file, sealed
from dsd.runs.files import sha256
from dsd.suite.folder import Suite

PLAIN = """

TERMS = "Points: anyone's <script>."


def plain(settings, assets, weights):
    from dsd.suite.task import Plain

    width = settings.width
    return Plain(
        Points(settings, 0).model(),
        (torch.ones(1, 4),),
        f"from torch import nn\\n\\nnet = nn.Sequential(nn.Linear(4, {width}), nn.ReLU(), "
        f"nn.Dropout(), nn.Linear({width}, {width}), nn.ReLU(), nn.Linear({width}, 2))",
        "`net(points)`: logits.",
        {"library_name": "pytorch", "pipeline_tag": "other", "metrics": ["accuracy"]},
        ("Starting weights: none.",),
    )
"""
LAST = "runs/points-mlp.mini/seed0/dense/sparse/redense"


@pytest.fixture(autouse=True)
def one_round(monkeypatch):
    """Times each network once."""
    for name in ("ROUNDS", "FEWEST"):
        monkeypatch.setattr(inference_cost, name, 1)
    monkeypatch.setattr(inference_cost, "LEAST", 0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A suite whose dsd arm was trained, and whose task can export."""
    root = tmp_path_factory.mktemp("trained")
    own = Path(__file__).parents[2] / "own_suite"
    suite = root / "suite"
    shutil.copytree(own, suite)
    command = [sys.executable, "-m", "dsd", "run", "points-mlp", "--scale", "mini"]
    done = subprocess.run(command, cwd=suite, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    task = suite / "recipes" / "points" / "task.py"
    task.write_text(task.read_text() + PLAIN)
    return suite


@pytest.fixture
def suite(trained, tmp_path, monkeypatch):
    """A copy of the trained suite, to change at will; task modules are imported again."""
    shutil.copytree(trained, tmp_path / "suite")
    monkeypatch.delitem(sys.modules, "recipes.points.task", raising=False)
    monkeypatch.chdir(tmp_path / "suite")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Suite(tmp_path / "suite")


def exported(suite: Suite, run: str = LAST, to: Path | None = None) -> tuple[Path, dict]:
    return export(suite, suite.root / run, suite.root / "runs", to)


def change(folder: Path, **changes) -> None:
    """Writes a checkpoint again with other contents."""
    state = checkpoint.load(folder)
    checkpoint.save(folder, {**state, **changes})


def test_a_phase_is_exported_with_its_weights_settings_card_and_inference_cost(suite):
    folder, compared = exported(suite)
    assert folder == suite.root / "exports" / "points-mlp.mini.dsd.seed0"
    assert {path.name for path in folder.iterdir()} == set(FILES)
    state = checkpoint.load(suite.root / LAST)["model"]
    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], state[name]) for name in state)
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"] == "points-mlp"
    assert (config["arm"], config["seed"], config["scale"]) == ("dsd", 0, "mini")
    assert config["path"] == "dense/sparse/redense"
    assert config["assets"] == {"classes": ["apart", "together"]}
    assert config["weights"]["sha256"] == sha256(folder / "model.safetensors")
    assert compared == json.loads((folder / "inference_cost.json").read_text())
    parameters = 4 * 32 + 32 + 32 * 32 + 32 + 32 * 2 + 2
    assert compared["differences"] == []
    assert compared["network"]["parameters"] == compared["baseline"]["parameters"] == parameters
    assert compared["network"]["flops"] == 2 * (4 * 32 + 32 * 32 + 32 * 2)
    assert compared["network"]["tensors"] == 6
    assert compared["time"]["rounds"] == 1


def test_the_card_says_what_it_is_and_escapes_what_data_say(suite):
    folder, _ = exported(suite)
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    (result,) = front["model-index"][0]["results"]
    phase = phase_file.read(suite.root / LAST / "phase.json").record
    error = phase.test["test"]["error_pct"]
    assert result["metrics"] == [{"type": "error_pct", "value": round(error, 4)}]
    assert "# A small network on points: arm dsd, seed 0" in card
    assert "not a model for use" in card  # it is of a miniature
    assert "| sparse | 1.25 | 0.01 | 0.5, magnitude |" in card
    assert f"| test | error\\_pct | {error:.2f} |" in card
    assert "From the record points-mlp.mini.dsd.seed0.json." in card
    assert "Names and shapes of all tensors, parameters and FLOPs are the baseline's." in card
    assert f"| revision | {phase.provenance['revision']}" in card
    assert "no file of the corpus" in card


def test_the_licence_of_a_corpus_that_is_no_miniature_is_what_its_task_says(suite):
    (suite.root / "runs/points-mlp.mini").rename(suite.root / "runs/points-mlp")
    shutil.rmtree(suite.root / "runs/records")
    folder, _ = exported(suite, LAST.replace(".mini", ""))
    assert folder.name == "points-mlp.dense-sparse-redense.seed0"
    card = (folder / "README.md").read_text()
    assert "- Points: anyone's \\<script\\>.\n- Starting weights: none.\n" in card
    assert "not a model for use" not in card


def test_text_cannot_become_markup():
    assert text("a|b\n<i>*x*</i> [l](u) `c`") == r"a\|b \<i\>\*x\*\</i\> \[l\](u) \`c\`"


def test_the_cards_own_lines_load_the_network(suite):
    folder, _ = exported(suite)
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    spoken = code[1] + "import torch\nprint(net(torch.ones(1, 4)).tolist(), net.training)"
    done = subprocess.run(
        [sys.executable, "-c", spoken], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    task = suite.task_module("points")
    net = task.Points(task.Settings(width=32), 0).model().eval()
    net.load_state_dict(checkpoint.load(suite.root / LAST)["model"])
    assert done.stdout.strip() == f"{net(torch.ones(1, 4)).tolist()} False"


def test_a_record_leads_to_the_same_export_as_its_folder(suite):
    by_folder, _ = exported(suite)
    by_record, _ = exported(
        suite, "runs/records/points-mlp.mini.dsd.seed0.json", to=suite.root / "other"
    )
    for name in ("model.safetensors", "config.json"):
        assert (by_folder / name).read_bytes() == (by_record / name).read_bytes()


def test_a_phase_on_the_way_has_no_record_and_says_so(suite):
    folder, compared = exported(suite, "runs/points-mlp.mini/seed0/dense/sparse")
    assert folder.name == "points-mlp.mini.dense-sparse.seed0"
    card = (folder / "README.md").read_text()
    assert "phases dense/sparse" in card
    assert "no record of it was found" in card
    weights = load_file(folder / "model.safetensors")
    assert compared["network"]["zeros"] == sum(int((w == 0).sum()) for w in weights.values())
    assert compared["network"]["zeros"] >= (32 * 32 + 32 * 2) / 2
    _, compared = exported(suite, "runs/points-mlp.mini/seed0/dense")
    assert compared["network"] == compared["baseline"]


def test_tensors_that_share_memory_or_are_transposed_are_written_whole(suite):
    state = checkpoint.load(suite.root / LAST)["model"]
    square = state["3.weight"].t()  # not contiguous
    change(suite.root / LAST, model={**state, "3.weight": square, "3.bias": square[0]})
    folder, _ = exported(suite)
    weights = load_file(folder / "model.safetensors")
    assert torch.equal(weights["3.weight"], square)
    assert torch.equal(weights["3.bias"], square[0])


def test_another_baseline_is_called_different(suite):
    module = suite.task_module("points")
    narrow = module.Points(module.Settings(width=8), 0).model().state_dict()
    dense = suite.root / "runs/points-mlp.mini/seed0/dense"
    settings = checkpoint.load(dense)["settings"]
    change(dense, model=narrow, settings={**settings, "task": {"width": 8}})
    done = CliRunner().invoke(app, ["export", LAST])
    assert done.exit_code == 1
    assert "differs from the baseline: 0.weight: (32, 4) here, (8, 4) there" in done.stdout
    assert f"flops: {2 * (128 + 1024 + 64)} here, {2 * (32 + 64 + 16)} there" in done.stdout
    card = (suite.root / "exports/points-mlp.mini.dsd.seed0/README.md").read_text()
    assert "**Differs from the baseline:**" in card
    assert "are the baseline's." not in card


def test_in_place_products_count_as_operations():
    class InPlace(nn.Module):
        def forward(self, x):
            batch = torch.zeros(2, 3, 7).baddbmm_(x.expand(2, 3, 5), torch.ones(2, 5, 7))
            return batch[0].addmm_(x, torch.ones(5, 7))

    assert inference_cost.flops(InPlace(), (torch.ones(3, 5),)) == 2 * 3 * 5 * 7 * (2 + 1)


def test_the_command_says_where_and_what(suite):
    done = CliRunner().invoke(app, ["export", LAST, "--to", "out"])
    assert done.exit_code == 0, done.output
    place, cost, time = done.stdout.splitlines()
    assert place == "out"
    assert "FLOPs are the baseline's" in cost
    assert re.fullmatch(
        r"time over the baseline's: \d\.\d+ \(middle half \S+ to \S+, n \d+\)", time
    )
    again = CliRunner().invoke(app, ["export", LAST, "--to", "out"])  # over an export of its own
    assert again.exit_code == 0, again.output


def unfinished(suite: Suite) -> str:
    (suite.root / LAST / "phase.json").unlink()
    return LAST


def moved(suite: Suite) -> str:
    (suite.root / "runs/points-mlp.mini").rename(suite.root / "runs/elsewhere")
    return LAST.replace("points-mlp.mini", "elsewhere")


def retrained(suite: Suite) -> str:
    file = suite.root / LAST / "phase.json"
    phase = json.loads(file.read_text())
    phase["record"]["test"] = {"test": {"error_pct": 99.0}}
    sealed.write(file, phase)
    return "runs/records/points-mlp.mini.dsd.seed0.json"


def renamed_parameter(suite: Suite) -> str:
    state = checkpoint.load(suite.root / LAST)["model"]
    weight = state.pop("0.weight")
    change(suite.root / LAST, model={**state, "first.weight": weight})
    return LAST


def without_plain(suite: Suite) -> str:
    task = suite.root / "recipes/points/task.py"
    task.write_text(task.read_text().removesuffix(PLAIN))
    return LAST


def no_baseline(suite: Suite) -> str:
    (suite.root / "runs/points-mlp.mini/seed0/dense/checkpoint.json").unlink()
    return LAST


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda suite: "runs/points-mlp.mini", "name a phase's folder in it"),
        (lambda suite: "nowhere", "nowhere: holds no checkpoint; train one with dsd run"),
        (lambda suite: "nowhere.json", "nowhere.json: missing"),
        (unfinished, "redense: the phase is not finished"),
        (moved, "elsewhere: named after no recipe"),
        (retrained, "points-mlp.mini.dsd.seed0.json: the folders of this run are not in"),
        (renamed_parameter, "does not fit the network of this revision"),
        (without_plain, "task.py: has no plain(...)"),
        (no_baseline, "dense: holds no checkpoint"),
    ],
)
def test_a_fault_is_one_line(suite, prepare, expected):
    run = prepare(suite)
    with pytest.raises(UserError) as fault:
        exported(suite, run)
    assert expected in str(fault.value)
    assert "\n" not in str(fault.value)
    assert not (suite.root / "exports").exists()


def test_a_folder_with_other_files_is_left_alone(suite, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    for place, expected in ((tmp_path, "holds other files"), (tmp_path / "README.md", "is a file")):
        with pytest.raises(UserError, match=expected):
            exported(suite, to=place)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_another_runs_export_is_left_alone(suite, tmp_path):
    folder = tmp_path / "weights"
    exported(suite, to=folder)
    before = {name: (folder / name).read_bytes() for name in FILES}
    exported(suite, to=folder)  # its own is written again
    with pytest.raises(
        UserError, match=r"holds the export of another run, .*; name another folder"
    ):
        exported(suite, str(Path(LAST).parent), to=folder)
    assert (folder / "model.safetensors").read_bytes() == before["model.safetensors"]
    config = json.loads(before["config.json"])
    (folder / "config.json").write_text(json.dumps({**config, "settings": "of another rate"}))
    with pytest.raises(UserError, match="holds the export of another run"):
        exported(suite, to=folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: is no JSON"):
        exported(suite, to=folder)


LAYER = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)


@pytest.mark.parametrize(
    ("net", "example", "expected"),
    [
        # a layer: projections 4 d d, two products of attention, two of the feed-forward part
        (
            nn.TransformerEncoder(LAYER, 2),
            (1, 32, 64),
            2 * 2 * (4 * 32 * 64 * 64 + 2 * 32 * 32 * 64 + 2 * 32 * 64 * 128),
        ),
        (nn.LSTM(8, 16, batch_first=True), (1, 5, 8), 2 * 5 * 4 * 16 * (8 + 16)),
        (nn.GRU(8, 16, batch_first=True), (1, 5, 8), 2 * 5 * 3 * 16 * (8 + 16)),
        (nn.RNN(8, 16, batch_first=True), (1, 5, 8), 2 * 5 * 16 * (8 + 16)),
    ],
    ids=["TransformerEncoder", "LSTM", "GRU", "RNN"],
)
def test_fused_layers_count_all_their_products(net, example, expected):
    found = inference_cost.cost(net.eval(), (torch.zeros(example),))
    assert (found["flops"], found["uncounted"]) == (expected, [])
    assert torch.backends.mha.get_fastpath_enabled()


def test_what_has_no_formula_is_said_not_to_be_counted():
    net = nn.Bilinear(4, 4, 3).eval()
    found = inference_cost.cost(net, (torch.zeros(2, 4), torch.zeros(2, 4)))
    assert found["flops"] is None
    assert found["uncounted"] == ["aten._trilinear"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_exported(suite, tmp_path, bad):
    folder = suite.root / LAST
    state = checkpoint.load(folder)
    assert state is not None
    state["model"]["3.weight"][0, 0] = bad
    checkpoint.save(folder, state)
    with pytest.raises(UserError, match="is not finite"):
        export(suite, folder, suite.root / "runs", tmp_path / "out")
    assert not (tmp_path / "out").exists()
