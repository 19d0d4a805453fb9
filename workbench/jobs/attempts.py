"""What becomes of a job that is submitted: a new attempt, or the one there is. `<digest>-<attempt>` is its name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from workbench.config import Config

NAME = re.compile(r"([0-9a-f]{16})-(\d+)")
KEYED = (  # steps whose answer is named by the config and its sources; others look at what is live or grows
    "ingest", "validate", "featurize", "leakcheck", "train", "tune", "evaluate", "register",
    "replay", "label", "monitor", "pipeline", "compare", "learning_curve",
)  # fmt: skip


class State(StrEnum):
    """What Ray says of a job."""

    pending = "PENDING"
    running = "RUNNING"
    stopped = "STOPPED"
    succeeded = "SUCCEEDED"
    failed = "FAILED"


LIVE = (State.pending, State.running)


@dataclass(frozen=True)
class Attempt:
    """One submission of a job, as the cluster knows it."""

    name: str
    state: State
    message: str = ""
    exit_code: int | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    started_s: float | None = None
    ended_s: float | None = None

    @property
    def digest(self) -> str:
        """What it has in common with other attempts at the same job."""
        return self.name.rpartition("-")[0]

    @property
    def number(self) -> int:
        """Which attempt it is, from 1."""
        return int(self.name.rpartition("-")[2])


@dataclass(frozen=True)
class Plan:
    """What to do: follow or return `there`, or submit `name`; `why` is for people."""

    name: str
    why: str
    there: Attempt | None = None


def of_job(digest: str, known: Iterable[Attempt]) -> list[Attempt]:
    """The attempts at a job, the first one first."""
    return sorted((one for one in known if one.digest == digest), key=lambda one: one.number)


def plan(digest: str, attempts: list[Attempt], code: str, changing: str | None, again: bool = False) -> Plan:
    """What is done with a job that has had these attempts.

    A live one is followed and a finished one is returned. A failed or stopped one is taken up by the next attempt,
    and so is a finished one whose answer may be another now: asked for `again`, by other code, of what is `changing`.
    """
    if not attempts:
        return Plan(f"{digest}-1", "new")
    last = attempts[-1]
    following = f"{digest}-{last.number + 1}"
    other = last.about.get("package") not in (None, code)
    if last.state in LIVE:
        why = "it runs already, with other code than yours" if other else "it runs already"
        return Plan(last.name, f"{why}: this follows it", last)
    if last.state is not State.succeeded:
        return Plan(following, f"attempt {last.number} {last.state.lower()}: this one goes on from what it left")
    if reason := "asked for again" if again else "its code is another" if other else changing:
        return Plan(
            following, f"attempt {last.number} is finished, but {reason}: what is done is found, not done twice"
        )
    return Plan(last.name, f"attempt {last.number} is finished: nothing is run", last)


def changing(step: str, cfg: Config) -> str | None:
    """Why a finished job may have another answer now, though its config is the same; None: it may not."""
    if step not in KEYED:
        return f"{step} looks at what is live or grows"
    outside = [cfg.data.source.path if cfg.data.source.kind != "benchmark" else None, cfg.leakcheck.path]
    outside += [table.path for table in cfg.features.tables.values()]
    found = [path for path in outside if path]
    return f"{', '.join(found)} may have changed" if found else None
