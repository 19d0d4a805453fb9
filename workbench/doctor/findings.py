"""What a diagnosis finds: one line each, with what to do where something is wrong."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

WIDTH = 110


class State(StrEnum):
    """How bad it is: `wrong` stops work, `odd` may stop it or be unsafe, `ok` and `none` (there is no such) do not."""

    ok = "ok"
    none = "-"
    odd = "odd"
    wrong = "WRONG"


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what helps."""

    what: str
    state: State
    said: str
    cure: str = ""


def ok(what: str, said: str) -> Finding:
    """A finding that all is well."""
    return Finding(what, State.ok, said)


def none(what: str, said: str) -> Finding:
    """A finding that there is nothing to look at, and none is needed."""
    return Finding(what, State.none, said)


def odd(what: str, said: str, cure: str) -> Finding:
    """A finding that work goes on with, at a price or a risk."""
    return Finding(what, State.odd, said, cure)


def wrong(what: str, said: str, cure: str) -> Finding:
    """A finding that work cannot go on with."""
    return Finding(what, State.wrong, said, cure)


def table(found: Iterable[Finding]) -> str:
    """The findings for people, in the order in which they were made."""
    lines: list[str] = []
    for one in found:
        text = textwrap.wrap(one.said, WIDTH - 22) or [""]
        lines.append(f"{one.what:15}{one.state:7}{text[0]}")
        lines += [" " * 22 + more for more in text[1:]]
        lines += [" " * 22 + more for more in textwrap.wrap(f"-> {one.cure}", WIDTH - 22) if one.cure]
    return "\n".join(lines)
