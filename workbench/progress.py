"""One line of progress per step or part of a step, on standard error, so that standard output stays for results."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Say that `name` has begun, and when it is done how long it took."""
    say(f"  {name} ...")
    started = time.monotonic()
    yield
    say(f"  {name} done in {time.monotonic() - started:.1f} s")
