"""Processes of their own that find the heavy libraries imported: each is forked from one that did so.

A fresh process takes six seconds and more to import torch, transformers and peft. The standard library's fork
server, a fresh process itself, does that once a session and computes nothing, so that what it forks has no
other thread, nothing of any test in memory, and the signal handlers of a new process.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TextIO

IMPORTED = (
    *("torch", "transformers", "peft", "bitsandbytes", "datasets", "great_expectations", "sklearn.metrics"),
    *("transformers.models.bert.modeling_bert", "transformers.models.llama.modeling_llama"),
    "pytest",  # the main module of what asks for a process, which the process imports again
)
"""Nothing of ours, which a process may have to do without, and not Prefect, which reads where its API is when
it is imported."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(list(IMPORTED))


class Forked:
    """A function that runs in a process of its own: of ``subprocess.Popen``, what tests use.

    Its standard error goes where its standard output goes if ``merged``, and is kept otherwise.
    """

    def __init__(self, function: Callable[..., object], *arguments: Any, merged: bool = False) -> None:
        reader, writer = _FORKS.Pipe(duplex=False)
        self._errors = tempfile.NamedTemporaryFile("r+", encoding="utf-8")  # noqa: SIM115 - lives as long
        given = (function, arguments, writer, None if merged else self._errors.name, dict(os.environ))
        self._process = _FORKS.Process(target=_become, args=given, daemon=True)
        self._process.start()
        writer.close()
        self.stdout: TextIO = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()
        # Otherwise this process would ask it to end when it ends itself, and wait for it.
        atexit.register(self._process.kill)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; ``None`` while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self.poll()
        assert code is not None, f"still running after {timeout} seconds"
        return code

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def said(self, timeout: float) -> str:
        """All that it still writes, once it has ended."""
        late = threading.Timer(timeout, self._process.kill)
        late.start()
        text = self.stdout.read()
        late.cancel()
        self.wait(timeout)
        return text

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()


@dataclass(frozen=True)
class Ended:
    """How a process ended, and all that it wrote."""

    code: int
    said: str
    errors: str


def run_script(text: str, *arguments: str, timeout: float = 300) -> Ended:
    """``python -c text arguments``, with the libraries imported already."""
    process = Forked(_script, text, *arguments)
    said = process.said(timeout)
    return Ended(process.wait(timeout), said, process.errors())


def lorafirst(*arguments: str) -> Forked:
    """The command line, with one output for all it says."""
    return Forked(_command_line, *arguments, merged=True)


def _script(text: str, *arguments: str) -> None:
    sys.argv = ["-c", *arguments]
    exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})


def _command_line(*arguments: str) -> None:
    from flows.command_line import main

    sys.argv = ["lorafirst", *arguments]
    main()


def _become(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    writer: Connection,
    errors: str | None,
    environment: dict[str, str],
) -> None:
    missing = set(IMPORTED) - set(sys.modules)
    assert not missing, f"the fork server could not import {missing}"
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(writer.fileno(), 1)
    writer.close()
    if errors is None:
        os.dup2(1, 2)
    else:
        with open(errors, "wb") as file:
            os.dup2(file.fileno(), 2)
    try:
        function(*arguments)
    finally:
        # A fresh process does both when it ends, a forked one neither.
        threading._shutdown()
        atexit._run_exitfuncs()
