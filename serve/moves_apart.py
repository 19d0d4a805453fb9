"""The same moves in a process of their own, which gets what the answering leaves of the machine.

A move takes some tenths of a second of a core. In the answering process, or beside it at any priority that has a share
of its own, requests wait for it: p99 in the second after it began was 77 to 95 ms, 27 to 29 with an idle process, and
14 to 18 without any move (1,130 requests/s on two cores, 17 rounds of each in turn, three times).

A round is a line to the process, what came of it a line from it. It ends when the line to it is cut, at the latest with
whoever started it: a round that is under way is ended first, under locks of the process's own.
"""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from typing import IO

import msgspec

from serve import cores
from serve.moves import Moved, Moves, Target
from workbench.errors import EnvironmentFault

NICENESS = 19  # where there are no idle processes
ENVIRONMENT = {"TOKIO_WORKER_THREADS": "1", "OMP_NUM_THREADS": "1"}  # of Delta's and Arrow's threads, one each
PATIENCE_S = 10.0  # for a round of an idle process
BUSY_S = 300.0  # that a machine counts as full after it left a round no time
log = logging.getLogger("ray.serve")


class MovesApart:
    """Whoever moves for an endpoint, from the first round on; one that has died is followed by another.

    A machine that is full for good would leave an idle process no time at all, and the journal would fill up: then one
    takes its place that is as important as the answering.
    """

    def __init__(self, target: Target, patience_s: float = PATIENCE_S) -> None:
        self._target, self._patience_s = target, patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._busy_until = 0.0

    @property
    def idle(self) -> bool:
        """Whether the moves wait for what the answering leaves."""
        return time.monotonic() >= self._busy_until

    def round(self) -> Moved:
        """Move what is released now; raises `EnvironmentFault` where the process does not live."""
        if self._busy_until and self.idle:
            self.close()
            self._busy_until = 0.0
        try:
            return self._round()
        except TimeoutError:
            self.close()
            self._busy_until = time.monotonic() + BUSY_S
            log.warning("this machine is full: the journal is moved at the priority of the answering for %g s", BUSY_S)
            return self._round()

    def close(self) -> None:
        """End the process, at once: what it has begun begins anew."""
        if self._process:
            self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()
            self._process = None

    def _round(self) -> Moved:
        process = self._process = self._process or self._started()
        try:
            return msgspec.json.decode(_asked(process, self._patience_s if self.idle else None), type=Moved)
        except (OSError, msgspec.DecodeError) as error:
            if isinstance(error, TimeoutError):
                raise
            self.close()
            raise EnvironmentFault(
                f"what moves the journal into the tables ended with {process.returncode}: it is started again"
            ) from error

    def _started(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(filter(None, sys.path))
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ENVIRONMENT, "PYTHONPATH": paths},
        )  # fmt: skip
        with contextlib.suppress(OSError):  # where a sandbox does not allow it, it is moved all the same
            cores.lend(process.pid)
        if self.idle:
            _last_of_all(process.pid)
        assert process.stdin
        process.stdin.write(msgspec.json.encode(self._target) + b"\n")
        return process


def _last_of_all(pid: int) -> None:
    """Let a process run when no other wants to; what it starts does the same."""
    try:
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):  # another system, or a sandbox that does not allow it
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, NICENESS)


def _asked(process: "subprocess.Popen[bytes]", patience_s: float | None) -> bytes:
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"\n")
    process.stdin.flush()
    poll = select.poll()  # `select.select` takes no file beyond the thousandth
    poll.register(process.stdout, select.POLLIN)
    if not poll.poll(None if patience_s is None else patience_s * 1000):
        raise TimeoutError
    return process.stdout.readline()


def main() -> None:
    """Move for whoever started this, a round for every line."""
    for one in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C, or a container's stop, is for whoever started this
        signal.signal(one, signal.SIG_IGN)
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
