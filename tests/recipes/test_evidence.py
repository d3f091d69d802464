"""The evidence protocol on a suite of one's own: order, claims, stops, the shared dense phase."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch._dynamo  # which the optimizer imports late: so that forks need not
import yaml
from accelerate.state import AcceleratorState

from dsd.cli import main as dsd_main
from dsd.errors import UserError
from dsd.runs import checkpoint, record
from dsd.runs.files import lock
from dsd.suite.folder import Suite
from recipes.evidence import Child, main, share_dense
from recipes.protocol import Evidence, Item, Job, Protocol, read_protocol
from tests.forked import no_gpu

ROOT = Path(__file__).parents[2]
ITEM = {"recipe": "points-mlp", "scale": "mini", "arms": ["baseline", "dsd"], "seeds": [1, 2]}
COMMAND = [sys.executable, "-m", "recipes.evidence", "--protocol", "evidence.yaml"]


@pytest.fixture
def suite(own_suite: Path) -> Path:
    """The suite of points, with two scales whose dense phase is the same, and a slow one."""
    path = own_suite / "recipes" / "points" / "mlp.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["scales"] |= {
        "long": {"phases": {"sparse": {"epochs": 2}}},
        "slow": {"phases": {"dense": {"epochs": 100_000}}},
    }
    path.write_text(yaml.safe_dump(raw))
    return own_suite


def write(suite: Path, *items: dict) -> Path:
    path = suite / "evidence.yaml"
    path.write_text(yaml.safe_dump({"items": list(items)}))
    return path


def evidence(suite: Path, *items: dict) -> Evidence:
    found = read_protocol(write(suite, *items))
    return Evidence(Suite(suite), found, suite / "runs", suite / "records")


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str

    @property
    def started(self) -> list[str]:
        lines = [line.partition("evidence: points-mlp ") for line in self.stderr.splitlines()]
        return [job for start, mark, job in lines if mark and not start]


@pytest.fixture
def run(suite, monkeypatch, capfd):
    """The script in this process; `dsd run` in forks, which need not import torch again."""

    def forked(child: Child, command: list[str]) -> int:
        def work() -> None:
            torch.set_num_threads(1)
            no_gpu()
            AcceleratorState._reset_state(reset_partial_state=True)  # of tests in this process
            sys.argv = ["dsd", *command[3:]]
            dsd_main()

        process = os.fork()
        if process:
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        code = 1
        try:
            work()
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def script(*words: str, data: bool = True) -> Done:
        monkeypatch.setattr(sys, "argv", [*COMMAND[2:], "--records", "records", *words])
        monkeypatch.setenv("POINTS", str(suite) if data else "")
        code = main()
        return Done(code, *capfd.readouterr())

    monkeypatch.chdir(suite)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(Child, "run", forked)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield script
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another process, which has the folder's lock."""
    ready, tell = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            with lock(folder):
                os.write(tell, b"1")
                time.sleep(60)
        finally:
            os._exit(0)  # whatever happens, this process is no second pytest
    os.read(ready, 1)
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(ready)
        os.close(tell)


def recorded(suite: Path) -> list[str]:
    return sorted(path.stem for path in (suite / "records").glob("*.json"))


def test_every_items_first_seeds_come_before_any_items_rest(suite):
    found = evidence(
        suite,
        {**ITEM, "seeds": [1, 4], "first_seeds": 2},
        {**ITEM, "scale": "long", "seeds": [7, 5, 9], "first_seeds": 1},
    )
    order = [(job.item.scale, job.seed) for job in found.jobs()]
    assert order == [
        *[("mini", 1), ("mini", 2), ("long", 7)],
        *[("mini", 3), ("mini", 4), ("long", 5), ("long", 9)],
    ]


def test_the_committed_protocol_is_valid():
    items = read_protocol(ROOT / "recipes" / "evidence.yaml").items
    assert {item.recipe for item in items} <= Suite(ROOT).recipes.keys()
    trials = [item for item in items if item.records == "results/trials"]
    assert {seed for item in trials for seed in item.seeds} == {0}, "seed 0 chooses schedules"
    acting = [item for item in items if item.scale == "acting"]
    assert acting
    assert all(item.seeds == tuple(range(1, 13)) for item in acting), "and enters no verdict"
    assert all(item.first_seeds == 6 for item in items)


def test_only_what_has_no_record_is_trained(suite, run):
    changed = {**ITEM, "arms": ["dsd"], "settings": ["phases.sparse.sparsity=0.25"]}
    write(suite, {**ITEM, "seeds": [1]}, {**changed, "seeds": [1]})
    (suite / "records").mkdir()
    (suite / "records" / "points-mlp.mini.dsd.seed1.json").write_text("another machine's")
    done = run("--run")
    assert done.returncode == 0, done.stderr
    assert done.started == [
        "mini seed 1: baseline",
        "mini phases.sparse.sparsity=0.25 seed 1: dsd",
    ]
    assert recorded(suite) == [
        "points-mlp.mini+phases.sparse.sparsity=0.25.dsd.seed1",
        "points-mlp.mini.baseline.seed1",
        "points-mlp.mini.dsd.seed1",
    ]
    done = run("--run")
    assert (done.returncode, done.started) == (0, [])


def test_the_table_counts_records_and_estimates_the_rest(suite, run):
    write(suite, {**ITEM, "seeds": [1]}, {**ITEM, "scale": "none"})
    assert run("--run").returncode == 2
    write(suite, {**ITEM, "seeds": [1, 3]}, {**ITEM, "scale": "none"})
    done = run()
    assert done.returncode == 0, done.stderr
    for text in ("baseline 1/3", "dsd 1/3", "2 3", "0.0", "?", "no scale 'none'"):
        assert text in done.stdout


def test_a_claimed_seed_is_skipped(suite, run):
    write(suite, {**ITEM, "arms": ["baseline"]})
    with held(suite / "runs" / "evidence" / "points-mlp.seed1"):
        done = run("--run")
    assert done.returncode == 0, done.stderr
    assert done.started == ["mini seed 2: baseline"]
    assert "1 left, all claimed by other copies" in done.stderr


def test_a_time_limit_ends_with_75_and_the_same_command_goes_on(suite, run):
    write(suite, {**ITEM, "scale": "slow"})
    assert run("--run", "--time-limit", "0.02").returncode == 75
    runs = suite / "runs" / "points-mlp.slow"
    assert (runs / "seed1" / "dense" / checkpoint.POINTER).exists()
    assert not (runs / "seed2").exists()

    write(suite, {**ITEM, "seeds": [2], "options": {"precision": "bf16"}})
    done = run("--run", "--time-limit", "0")
    assert (done.returncode, done.started, recorded(suite)) == (75, [], [])
    assert run("--run", "--time-limit", "9").returncode == 0
    one = record.read(suite / "records" / "points-mlp.mini.dsd.seed2.json")
    assert one.settings.precision == "bf16"
    assert "--precision bf16 --records records --time-limit" in one.provenance["command"]


def test_a_signal_stops_the_run_with_a_checkpoint_and_then_the_script(suite):
    write(suite, {**ITEM, "scale": "slow"})
    script = subprocess.Popen(
        [*COMMAND, "--run", "--records", "records"],
        cwd=suite,
        env={**os.environ, "PYTHONPATH": str(ROOT), "POINTS": str(suite)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert script.stderr is not None
    for line in script.stderr:
        if "baseline seed 1" in line:  # dsd run has caught the signals by now
            break
    script.send_signal(signal.SIGTERM)
    _, rest = script.communicate(timeout=120)
    assert script.returncode == 75
    assert "stopped: SIGTERM received" in rest
    dense = suite / "runs" / "points-mlp.slow" / "seed1" / "dense"
    assert (dense / checkpoint.POINTER).exists()
    assert not (suite / "runs" / "points-mlp.slow" / "seed2").exists()


def test_scales_share_a_dense_phase_either_way(suite, run):
    write(suite, {**ITEM, "seeds": [1]})
    assert run("--run").returncode == 0
    mini, long = (suite / "runs" / f"points-mlp.{scale}" / "seed1" for scale in ("mini", "long"))
    item = {**ITEM, "scale": "long", "seeds": [1], "shares_dense_with": "mini"}
    write(suite, {**ITEM, "seeds": [1]}, item)
    done = run("--run")
    assert done.started == ["long seed 1: baseline dsd"]
    assert (long / "dense" / "phase.json").read_bytes() == (
        mini / "dense" / "phase.json"
    ).read_bytes()
    logs = [
        record.read(suite / "records" / f"points-mlp.{scale}.dsd.seed1.json").phases
        for scale in ("mini", "long")
    ]
    assert logs[0][0].log == logs[1][0].log
    assert (logs[0][1].epochs, logs[1][1].epochs) == (1.25, 2)

    shutil.rmtree(mini)
    found = evidence(suite, {**ITEM, "seeds": [1]}, item)
    mini_item = found.protocol.items[0]
    share_dense(found, Job(mini_item, 1))
    assert (mini / "dense" / "phase.json").exists()
    assert [path.name for path in mini.iterdir()] == ["dense"]
    assert not [path for path in (mini / "dense").iterdir() if path.is_dir() or path.name[0] == "."]


def test_an_unfinished_dense_phase_is_replaced_unless_it_is_in_training(suite):
    found = evidence(suite, ITEM, {**ITEM, "scale": "long", "shares_dense_with": "mini"})
    mini, long = (
        suite / "runs" / f"points-mlp.{scale}" / "seed1" / "dense" for scale in ("mini", "long")
    )
    for folder in (mini, long):
        folder.mkdir(parents=True)
    (mini / "phase.json").write_text("finished")
    (long / "checkpoint-b.pt").write_text("half")
    job = Job(found.protocol.items[1], 1)
    with held(long), pytest.raises(UserError, match="in use"):
        share_dense(found, job)
    assert (long / "checkpoint-b.pt").exists()
    share_dense(found, job)
    assert [path.name for path in long.iterdir()] == ["phase.json"]


def test_a_run_that_fails_is_said_and_the_next_is_trained(suite, run):
    bad = {**ITEM, "arms": ["baseline"], "settings": ["task.explode_at=2"], "seeds": [1]}
    no_data = {**ITEM, "scale": "long"}
    write(suite, bad, no_data, {**ITEM, "seeds": [1], "arms": ["baseline"]})
    done = run("--run", data=False)
    assert done.returncode == 2
    assert "the loss is not finite at step 2" in done.stderr
    assert "mini task.explode_at=2 seed 1: not finished, exit code 2" in done.stderr
    assert "points-mlp long: POINTS is not set" in done.stderr
    assert recorded(suite) == ["points-mlp.mini.baseline.seed1"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"scales": "mini"}, "unknown key 'items.0.scales'; did you mean 'scale'?"),
        ({"arms": []}, "items.0.arms"),
        ({"options": {"precision": "fp8"}}, "items.0.options.precision"),
        ({"seeds": [4, 2]}, "items.0.seeds: the last seed comes before the first"),
    ],
)
def test_faults_of_the_protocol_are_one_line(suite, change, fault):
    with pytest.raises(UserError) as error:
        read_protocol(write(suite, {**ITEM, **change}))
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_protocol_is_one_line_and_exit_code_2(suite, run):
    done = run()
    assert (done.returncode, done.stderr) == (
        2,
        "evidence: evidence.yaml: No such file or directory\n",
    )


def test_a_list_of_seeds_stands_as_it_is():
    assert Protocol(items=(Item(**{**ITEM, "seeds": (3, 1, 8)}),)).items[0].seeds == (3, 1, 8)
