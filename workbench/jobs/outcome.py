"""What the end of a job means to the person who waits for it: an exit code, and one sentence where it was no answer."""

import re

from workbench.errors import EnvironmentFault
from workbench.jobs.attempts import Attempt, State

INTERRUPTED = 130
NOT_FOUND = 127  # of a shell: there is no such command
RESUME = "Submit the same again: it goes on from what is done."
MODULE = re.compile(r"(?:ModuleNotFoundError: |: )No module named '?([\w.]+)'?")
PYTHON = "Use --python with the path of the workbench's own Python on the cluster's nodes."


def exit_code(ended: Attempt, log: str) -> int:
    """The code that the job ended with; raises `EnvironmentFault` where its own process never gave one of ours."""
    if ended.state is State.succeeded:
        return 0
    if ended.state is State.stopped:
        return INTERRUPTED
    if fault := _fault(ended, log):
        raise EnvironmentFault(fault)
    assert ended.exit_code is not None
    return ended.exit_code


def _fault(ended: Attempt, log: str) -> str | None:
    last = " ".join((log.strip().splitlines() or [""])[-1].split())[:300]
    if ended.exit_code is None:
        return f"{ended.name} was lost: {_line(ended.message)}. {_cure(ended.message)}"
    if ended.exit_code == NOT_FOUND:
        return f"{ended.name} did not start ({last}): the cluster's PATH has no such Python. {PYTHON}"
    if ended.exit_code < 0 or ended.exit_code == 128 + 9:
        return (
            f"{ended.name} was killed by a signal: by a person, or for want of memory on its node. {RESUME}"
            " Where it happens again, ask for more with --memory, or use more machines or fewer rows."
        )
    if ended.exit_code == 1 and (missing := MODULE.search(last)):
        return f"{ended.name} did not start: the cluster's Python has no {missing[1]}. {PYTHON}"
    return None


def _cure(message: str) -> str:
    """What helps against what Ray says of a job whose process it did not see end."""
    if "runtime_env" in message:
        return "See runtime_env_setup-*.log on the head node; free its disk where it is full, then submit again."
    if "failed to start within" in message:
        return "Ask for fewer resources, or wait until there is room (`python -m workloads.submit list`)."
    return RESUME


def _line(text: str) -> str:
    return " ".join(text.split())[:400].rstrip(".") or "the cluster does not say why"
