"""One line of progress per step or part of a step, on standard error, so that standard output stays for results."""

import sys


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(text, file=sys.stderr, flush=True)
