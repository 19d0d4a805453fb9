"""The same moves in a process of their own, which gets what the answering leaves of the machine.

A move takes some tenths of a second of a core. In the answering process, or beside it at any priority that has a share
of its own, requests wait for it: p99 in the second after it began was 77 to 95 ms, 27 to 29 with an idle process, and
14 to 18 without any move (1,130 requests/s on two cores, 17 rounds of each in turn, three times).

A round is a line to the process; from it comes a line for every segment, of what came of it, and an empty one at the
end. It ends when the line to it is cut, at once, and so with whoever started it: what it had begun is begun anew.
"""

import contextlib
import logging
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO

import msgspec

from serve import cores
from serve.moves import Moved, Moves, Target
from workbench.errors import EnvironmentFault

NICENESS = 19  # where there are no idle processes
ENVIRONMENT = {"TOKIO_WORKER_THREADS": "1", "OMP_NUM_THREADS": "1"}  # of Delta's and Arrow's threads, one each
PATIENCE_S = 10.0  # for a segment, with an idle process: more, and the machine counts as full
BUSY_S = 300.0  # that it does from then on
LONGEST_S = 60.0  # for a segment on a full machine: more, and the store does not answer
KILLED_S = 5.0  # that a process may take to end
END = b"\n"  # of a round
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
        self._told = Moved()  # of rounds that did not come to their end as well

    @property
    def idle(self) -> bool:
        """Whether the moves wait for what the answering leaves."""
        return time.monotonic() >= self._busy_until

    def round(self) -> Moved:
        """Move what is released now; raises `EnvironmentFault` where the process does not live, or the store."""
        if self._busy_until and self.idle:
            self.close()
            self._busy_until = 0.0
        if self.idle:
            with contextlib.suppress(TimeoutError):
                return self._round(self._patience_s)
            self._busy_until = time.monotonic() + BUSY_S
            log.warning(
                "in %g s no segment of the journal was moved: they are at the priority of the answering for %g s",
                self._patience_s, BUSY_S,
            )  # fmt: skip
        try:
            return self._round(LONGEST_S)
        except TimeoutError as error:
            raise EnvironmentFault(
                f"{self._target.store} took no segment of the journal in {LONGEST_S:g} s: does it answer? They are kept"
            ) from error

    def close(self) -> None:
        """End the process, at once: what it has begun begins anew."""
        self.stop()
        if self._process:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # one that waits for a dead disk does not end
                self._process.communicate(timeout=KILLED_S)
            self._process = None

    def stop(self) -> None:
        """End a round that is under way in another thread: it fails."""
        if process := self._process:
            process.kill()

    def _round(self, patience_s: float) -> Moved:
        process = self._process = self._process or self._started()
        try:
            for moved in _asked(process, patience_s):
                self._told += moved
        except BaseException as error:  # the next round must not read what this one has not
            self.close()
            self._told.failed = {}  # what is left is tried again
            if isinstance(error, TimeoutError) or not isinstance(error, OSError | ValueError | msgspec.MsgspecError):
                raise
            raise EnvironmentFault(
                f"what moves the journal into the tables ended with {process.returncode}: it is started again"
            ) from error
        told, self._told = self._told, Moved()
        return told

    def _started(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(filter(None, sys.path))
        process = subprocess.Popen(
            [sys.executable, "-m", __name__], bufsize=0,
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


def _asked(process: "subprocess.Popen[bytes]", patience_s: float) -> Iterator[Moved]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"\n")
    poll = select.poll()  # `select.select` takes no file beyond the thousandth
    poll.register(process.stdout, select.POLLIN)
    while poll.poll(patience_s * 1000):
        if (line := process.stdout.readline()) == END:
            return
        yield msgspec.json.decode(line, type=Moved)
    raise TimeoutError


def main() -> None:
    """Move for whoever started this, a round for every line."""
    for one in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C, or a container's stop, is for whoever started this
        signal.signal(one, signal.SIG_IGN)
    answers, asked = _own_stdout(), queue.SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=[asked], daemon=True).start()
    moves = Moves(msgspec.json.decode(asked.get(), type=Target))
    while asked.get():
        for moved in moves.one_by_one():
            answers.write(msgspec.json.encode(moved) + b"\n")
        answers.write(END)


def _listen(asked: "queue.SimpleQueue[bytes]") -> None:
    """Take the lines; nobody is there after the last."""
    with open(0, "rb", buffering=0) as lines:
        for line in lines:
            asked.put(line)
    os._exit(0)


def _own_stdout() -> IO[bytes]:
    """What was the standard output: a library that prints does so to the errors from now on."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
