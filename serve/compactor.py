"""Moves what is recorded from the journal into the tables, every few seconds, beside the answering."""

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from serve import feature_state, journal
from serve.moves import SHADOWS, Mover, Moves, Target
from workbench.errors import EnvironmentFault

if TYPE_CHECKING:
    from serve.service import Service

DRAIN_S = 60.0  # that a replica may take to move its segment, once it is due
log = logging.getLogger("ray.serve")


class Compactor:
    """What moves the records of this replica, and of dead ones."""

    def __init__(self, service: "Service") -> None:
        self._service, self._settings = service, service.settings
        self._compacting = threading.Lock()
        self._failed: dict[str, str] = {}  # why a segment could not be moved in the last round
        self.mover: Mover = Moves(Target.of(self._settings))
        self.full = False  # the journal has more than the tables may lag behind: nothing new is taken
        self.sheds = False  # the same of what shadows scored: it is left out

    def start(self) -> None:
        """Move from now on, in a thread of its own."""
        threading.Thread(target=self._compact_for_ever, name="compactor", daemon=True).start()

    def compact(self) -> int:
        """Move what this replica and dead ones have recorded into the tables; returns the number of records."""
        service = self._service
        with self._compacting:
            for written in (service.predictions, service.feedback, service.corrections, service.shadows.journal):
                written.close_segment()
            told = set(self._failed.values())
            try:
                moved = self.mover.round()
            finally:  # also where nothing can be moved at all: then nothing new is taken before the disk is full
                self._weigh(journal.backlog(self._settings.folder))
            self._failed = moved.failed
        for message in sorted(set(moved.failed.values()) - told):  # once, not in every round
            log.error("the journal keeps its records, the tables could not take them: %s", message)
        for segment, message in moved.unreadable.items():
            log.error("%s cannot be read and is set aside: %s", segment, message)
        log.debug("%s: %d records moved", self._settings.application, moved.records)
        return moved.records

    def take_over(self) -> None:
        """Move in this process from now on, at once: the last move before its end depends on no other's."""
        self.mover.stop()
        with self._compacting:
            self.mover.stop()  # one that was begun meanwhile
            self.mover = Moves(Target.of(self._settings))

    def drain(self) -> None:
        """Return when the tables hold all that any replica had recorded before; those that live move theirs."""
        folder, until = self._settings.folder, time.monotonic() + self._settings.compact_every_s + DRAIN_S
        waiting = _needed(journal.unmoved(folder))
        while self.compact() or waiting & journal.unmoved(folder):
            for name in _needed({folder / name for name in self._failed}):
                raise EnvironmentFault(f"{name} has to be in the tables first: {self._failed[name.name]}")
            if time.monotonic() > until:
                raise EnvironmentFault(f"{folder} was not moved into the tables by the replicas. See their log.")
            time.sleep(0.1)

    def _weigh(self, bytes_of: dict[str, int]) -> None:
        limit, shadows = self._settings.journal_limit_bytes, bytes_of.pop(SHADOWS, 0)
        self.full, self.sheds = sum(bytes_of.values()) >= limit, shadows >= limit

    def _compact_for_ever(self) -> None:
        while True:
            time.sleep(self._settings.compact_every_s)
            follower = self._service.follower
            led = [follower.publish, follower.judge] if self._settings.follows else []
            for act in (self.compact, lambda: feature_state.settle(self._service), *led):
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a library raises
                    log.error("what is done every few seconds beside answering failed: %s", error)


def _needed(segments: set[Path]) -> set[Path]:
    """Those that a state, or whoever reads the log, waits for."""
    return {one for one in segments if not one.name.startswith(f"{SHADOWS}-")}
