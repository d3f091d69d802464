"""Commands in processes forked from one that has imported torch: its import takes longer than most.

`python tests/forked.py` reads a request a line, {"words", "cwd", "environment", "out", "err"}, runs
`dsd WORDS...` in a child of its own, and answers with the exit code.
"""

import atexit
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
READ_AT_IMPORT = ("OMP_", "MKL_", "TORCH", "ATEN_", "CUDA_", "ONEDNN_", "DNNL_", "PYTHON")


def no_gpu() -> None:
    """Hides the GPU from a fork of a process that may have used it: it can't be used there."""
    import torch

    torch.cuda.is_available = lambda: False


class Forked:
    """Runs commands; the process that forks them is started with the first."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, words: list[str], cwd: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Returns what `dsd WORDS...` did."""
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"},
            )
        assert self._server.stdin
        assert self._server.stdout
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {"words": words, "cwd": str(cwd), "environment": environment}
            request |= {"out": str(out), "err": str(err)}
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            texts = [each.read_text(encoding="utf-8") for each in (out, err)]
        return subprocess.CompletedProcess(["dsd", *words], code, *texts)

    def stop(self) -> None:
        """Ends the process."""
        if self._server and self._server.stdin:
            self._server.stdin.close()
            self._server.wait()


def serve() -> None:
    """Answers requests until there are no more, each in a child that ends with its command."""
    import accelerate  # noqa: F401
    import nltk  # noqa: F401
    import torch._dynamo  # noqa: F401  (torch's optimizers import it, which takes as long as torch)

    import dsd.cli
    import dsd.training.algorithm  # noqa: F401

    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _end(_command(request))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _command(request: dict[str, Any]) -> Any:
    """Runs one command as a process of its own would; returns its exit code."""
    from dsd.cli import main

    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = ["dsd", *request["words"]]
    sys.path[0] = request["cwd"]
    try:
        main()
    except SystemExit as ended:
        return ended.code
    except BaseException:
        traceback.print_exc()
        return 1


def _end(code: Any) -> NoReturn:
    """Ends as sys.exit(code) does, but leaves the imported modules as they are: a second less."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve()
