"""Released segments of the journal become rows of the tables, each once, whoever wrote it."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa

from serve import journal
from serve.settings import Settings
from workbench.data.store import Store
from workbench.feedback import prediction_log

SHADOWS = "shadows"  # the kind of record that nothing is built from: it holds up neither requests nor a start
ROUND_S = 5.0  # after which what is left waits for the next: there is more to do every few seconds than to move
KINDS = ("predictions", "feedback", "corrections", SHADOWS)


class Target(msgspec.Struct, frozen=True):
    """What is moved, and where to."""

    folder: str  # of the journal
    store: str
    log: str  # the name of the prediction log
    raw_key: str
    id_column: str
    whole_ids: bool  # they are integers, not text

    @classmethod
    def of(cls, settings: Settings) -> "Target":
        """What an endpoint records."""
        data = settings.data
        whole_ids = data.columns[data.id].type == "integer"
        return cls(str(settings.folder), settings.store, settings.log, settings.raw_key, data.id, whole_ids)


class Moved(msgspec.Struct):
    """What came of a segment, or of a round: how many records are in the tables now, and why a segment is not."""

    records: int = 0
    failed: dict[str, str] = {}  # by segment: it stays for the next round
    unreadable: dict[str, str] = {}  # by segment: it is set aside

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(self.records + other.records, self.failed | other.failed, self.unreadable | other.unreadable)


class Mover(Protocol):
    """Who does it."""

    def round(self) -> Moved:
        """Move what is released now, as far as a round goes."""

    def stop(self) -> None:
        """End a round that is under way, if another thread began one that can be ended: it fails."""


class Moves:
    """It is done in this process."""

    def __init__(self, target: Target) -> None:
        store, id_type = Store(target.store), pa.int64() if target.whole_ids else pa.string()
        self._folder = Path(target.folder)
        self._moves: dict[str, Callable[[Path], int]] = {
            "predictions": lambda segment: prediction_log.move_predictions(store, target.log, segment),
            "feedback": lambda segment: prediction_log.move_feedback(
                store, target.raw_key, target.id_column, id_type, segment
            ),
            "corrections": lambda segment: prediction_log.move_corrections(store, target.log, segment),
            SHADOWS: lambda segment: prediction_log.move_shadows(store, target.log, segment),
        }

    def round(self) -> Moved:
        """Move what is released now, as far as a round goes."""
        return sum(self.one_by_one(), Moved())

    def stop(self) -> None:
        """Nothing: what this process has begun, it ends."""

    def one_by_one(self) -> Iterator[Moved]:
        """Move what is released now, and say of every segment what came of it.

        A segment that cannot be moved stays for the next round and keeps none behind it: tables are read in the order
        of what their records say, so that it does not matter which comes first. They come one of each kind in turn, and
        a round ends after a turn: none waits for all of another kind's.
        """
        until = time.monotonic() + ROUND_S
        released = [zip(itertools.repeat(kind), journal.released(self._folder, kind)) for kind in KINDS]
        for turn in itertools.zip_longest(*released):
            yield from (self._moved(*one) for one in turn if one)
            if time.monotonic() > until:
                break

    def _moved(self, kind: str, segment: Path) -> Moved:
        try:
            return Moved(self._moves[kind](segment))
        except pa.ArrowException as error:
            journal.set_aside(segment)
            return Moved(unreadable={segment.name: str(error)})
        except Exception as error:  # noqa: BLE001 - the others are moved, whatever a library raises
            return Moved(failed={segment.name: str(error)})
