"""Shadows: versions that score what was answered, beside the answering, and never change it.

An answered event waits in a bounded queue; a thread scores what waits as one matrix per shadow, and records it. Where
more comes than it can do, events are left out, not requests: shadows are shed first.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from serve.answers import Refusal
from serve.journal import Journal
from workbench.feedback.prediction_log import now_us
from workbench.models.bundle import Bundle

BATCH, PAUSE_S = 256, 0.05  # at most so many events between two pauses: some 5,000 a second
log = logging.getLogger("ray.serve")


class Shadows:
    """The queue of answered events, and the thread that lets the shadows score them."""

    def __init__(
        self, journal: Journal, live: Callable[[], tuple[Bundle, ...]], limit: int, sheds: Callable[[], bool]
    ) -> None:
        self.journal, self._live, self._limit, self._sheds = journal, live, limit, sheds
        self.left_out = 0  # events that found no room
        self._waiting: deque[tuple[str, str, int, list[float]]] = deque()

    def start(self) -> None:
        """Let what waits be scored from now on, by a thread of its own."""
        threading.Thread(target=self._score_for_ever, name="shadows", daemon=True).start()

    def put(self, request_id: str, identity: str, event_time: int, features: list[float]) -> None:
        """Let the shadows score an event that was answered, if there is room."""
        if len(self._waiting) < self._limit and not self._sheds():
            self._waiting.append((request_id, identity, event_time, features))
        else:
            self.left_out += 1

    def score_waiting(self) -> int:
        """Score and record what waits, a batch at most; returns how many events that were."""
        rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
        if rows:
            self.journal.append([record for bundle in self._live() for record in _records(bundle, rows)])
        return len(rows)

    def _score_for_ever(self) -> None:
        told = 0
        while True:
            time.sleep(PAUSE_S)
            try:
                self.score_waiting()
            except Refusal:
                log.error("what shadows scored could not be recorded")
            except Exception as error:  # noqa: BLE001 - the thread must live on
                log.error("shadows could not score: %s", type(error).__name__)
            if self.left_out > told:
                told = self.left_out
                log.warning("%d events were left out by shadows so far: more came than they could score", told)


def _records(bundle: Bundle, rows: list[tuple[str, str, int, list[float]]]) -> list[dict[str, Any]]:
    """What a shadow makes of some events; without scores where it fails."""
    started = time.perf_counter_ns()
    try:
        score_N = bundle.scorer.score(np.array([features for *_, features in rows])).score_N
    except Exception:  # noqa: BLE001 - a shadow that fails is seen in its records, and hurts nobody
        score_N = np.full(len(rows), np.nan)
    took_us, recorded_at = (time.perf_counter_ns() - started) // 1000 // len(rows), now_us()
    whole_N = np.isfinite(score_N)
    return [
        {
            "request_id": request_id,
            "id": identity,
            "event_time": event_time,
            "recorded_at": recorded_at,
            "version": bundle.version,
            "score": float(score) if whole else None,
            "flagged": bool(score >= bundle.threshold) if whole else None,
            "scored_us": took_us,
        }
        for (request_id, identity, event_time, _), score, whole in zip(rows, score_N, whole_N, strict=True)
    ]
