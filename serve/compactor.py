"""Moves what is recorded from the journal into the tables, every few seconds, beside the answering."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from serve import feature_state, journal
from workbench.errors import EnvironmentFault
from workbench.feedback import prediction_log

if TYPE_CHECKING:
    from serve.service import Service

DRAIN_S = 60.0  # that a replica may take to move its segment, once it is due
SHADOWS = "shadows"  # the kind of record that nothing is built from: it holds up neither requests nor a start
log = logging.getLogger("ray.serve")


class Compactor:
    """What moves the records of this replica, and of dead ones."""

    def __init__(self, service: "Service") -> None:
        self._service, self._settings = service, service.settings
        self._compacting = threading.Lock()
        self._failed: dict[str, Exception] = {}  # why a segment could not be moved in the last round
        self.full = False  # the journal has more than the tables may lag behind: nothing new is taken
        self.sheds = False  # the same of what shadows scored: it is left out
        self.also: Callable[[], object] = lambda: None  # called at the end of every round

    def start(self) -> None:
        """Move from now on, in a thread of its own."""
        threading.Thread(target=self._compact_for_ever, name="compactor", daemon=True).start()

    def compact(self) -> int:
        """Move what this replica and dead ones have recorded into the tables; returns the number of records.

        A segment that cannot be moved stays for the next round and keeps none behind it: tables are read in the order
        of what their records say, so that it does not matter which comes first.
        """
        moved, service = 0, self._service
        with self._compacting:
            told, self._failed = {str(error) for error in self._failed.values()}, {}
            for written, move in (
                (service.predictions, self._move_predictions),
                (service.feedback, self._move_feedback),
                (service.corrections, self._move_corrections),
                (service.shadows.journal, self._move_shadows),
            ):
                written.close_segment()
                moved += sum(self._moved(move, segment) for segment in written.released())
        for message in sorted({str(error) for error in self._failed.values()} - told):  # once, not in every round
            log.error("the journal keeps its records, the tables could not take them: %s", message)
        self._weigh(journal.backlog(self._settings.folder))
        log.debug("%s: %d records moved", self._settings.application, moved)
        return moved

    def drain(self) -> None:
        """Return when the tables hold all that any replica had recorded before; those that live move theirs."""
        folder, until = self._settings.folder, time.monotonic() + self._settings.compact_every_s + DRAIN_S
        waiting = _needed(journal.unmoved(folder))
        while self.compact() or waiting & journal.unmoved(folder):
            for name in _needed({folder / name for name in self._failed}):
                raise self._failed[name.name]
            if time.monotonic() > until:
                raise EnvironmentFault(f"{folder} was not moved into the tables by the replicas. See their log.")
            time.sleep(0.1)

    def _weigh(self, bytes_of: dict[str, int]) -> None:
        limit, shadows = self._settings.journal_limit_bytes, bytes_of.pop(SHADOWS, 0)
        self.full, self.sheds = sum(bytes_of.values()) >= limit, shadows >= limit

    def _moved(self, move: Callable[[Path], int], segment: Path) -> int:
        try:
            return move(segment)
        except pa.ArrowException as error:
            log.error("%s cannot be read and is set aside: %s", segment, error)
            journal.set_aside(segment)
        except Exception as error:  # noqa: BLE001 - the others are moved, whatever a library raises
            self._failed[segment.name] = error
        return 0

    def _move_predictions(self, segment: Path) -> int:
        return prediction_log.move_predictions(self._service.store, self._settings.log, segment)

    def _move_shadows(self, segment: Path) -> int:
        return prediction_log.move_shadows(self._service.store, self._settings.log, segment)

    def _move_corrections(self, segment: Path) -> int:
        return prediction_log.move_corrections(self._service.store, self._settings.log, segment)

    def _move_feedback(self, segment: Path) -> int:
        data = self._settings.data
        id_type = pa.int64() if data.columns[data.id].type == "integer" else pa.string()
        return prediction_log.move_feedback(self._service.store, self._settings.raw_key, data.id, id_type, segment)

    def _compact_for_ever(self) -> None:
        while True:
            time.sleep(self._settings.compact_every_s)
            follower = self._service.follower
            led = [follower.publish, follower.judge] if self._settings.follows else []
            for act in (self.compact, lambda: feature_state.settle(self._service), *led, self.also):
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a library raises
                    log.error("what is done every few seconds beside answering failed: %s", error)


def _needed(segments: set[Path]) -> set[Path]:
    """Those that a state, or whoever reads the log, waits for."""
    return {one for one in segments if not one.name.startswith(f"{SHADOWS}-")}
