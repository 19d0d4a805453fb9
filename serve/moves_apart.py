"""The same moves in a process of their own, which takes what the answering leaves of the machine.

A move costs some tenths of a second of several cores: beside the answering, in the same process and at the same
priority, it made one request in fifty wait for it.

A round is a line to the process, what came of it a line from it. It ends when the line to it is cut, at the latest with
whoever started it: a segment that it moves just then is moved, since it holds that segment's lock itself.
"""

import contextlib
import os
import subprocess
import sys
from typing import IO

import msgspec

from serve.moves import Moved, Moves, Target
from workbench.errors import EnvironmentFault

NICENESS = 19
ENVIRONMENT = {"TOKIO_WORKER_THREADS": "1", "OMP_NUM_THREADS": "1"}  # of Delta's and Arrow's threads, one each


class MovesApart:
    """Whoever moves for an endpoint, from the first round on; one that has died is followed by another."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None

    def round(self) -> Moved:
        """Move what is released now; raises `EnvironmentFault` where the process does not live."""
        process = self._process = self._process or self._started()
        try:
            return msgspec.json.decode(_asked(process, b""), type=Moved)
        except (OSError, msgspec.DecodeError) as error:
            self.close()
            raise EnvironmentFault(
                f"what moves the journal into the tables ended with {process.returncode}: it is started again"
            ) from error

    def close(self) -> None:
        """End the process."""
        if self._process:
            with contextlib.suppress(OSError):
                self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(filter(None, sys.path))
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ENVIRONMENT, "PYTHONPATH": paths},
            start_new_session=True,  # Ctrl-C at a terminal is for whoever started it
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(msgspec.json.encode(self._target) + b"\n")
        return process


def _asked(process: "subprocess.Popen[bytes]", line: bytes) -> bytes:
    assert process.stdin
    assert process.stdout
    process.stdin.write(line + b"\n")
    process.stdin.flush()
    return process.stdout.readline()


def main() -> None:
    """Move for whoever started this, a round for every line."""
    os.nice(NICENESS)
    asked, answers = sys.stdin.buffer, _own_stdout()
    moves = Moves(msgspec.json.decode(asked.readline(), type=Target))
    for _ in asked:
        answers.write(msgspec.json.encode(moves.round()) + b"\n")
        answers.flush()


def _own_stdout() -> IO[bytes]:
    """What was the standard output: a library that prints does so to the errors from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
