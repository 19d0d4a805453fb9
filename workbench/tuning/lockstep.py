"""Several fits of one trial, step by step side by side, so that their mean is known at every step.

Each fit is a framework's plain loop in a thread of its own. One of them runs at a time, until it reports; nothing is
trained twice, and what chance a loop draws does not depend on the others, since it seeds each of its steps.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.training.fits import Fitted, Report

State = Callable[[], dict[str, bytes]]
Start = Callable[[Report], Fitted]  # a loop with all but its report


class _EnoughError(Exception):
    """Ends a loop from within its report."""


@dataclass
class Side:
    """One of the fits."""

    start: Start
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    fitted: Fitted = field(default_factory=Fitted)
    state: State | None = None  # the framework's state at the newest step; None once the loop is through


class Lockstep:
    """Runs loops by turns; iterate over it for the steps, and leave the iteration to end them all."""

    def __init__(self, starts: Mapping[str, Start]) -> None:
        self.sides = {name: Side(start) for name, start in starts.items()}
        self._told: queue.Queue[BaseException | bool] = queue.Queue()  # whether a side goes on, or why it failed
        self._over = False

    def __iter__(self) -> Iterator[int]:
        """Each step that every fit has reached. What a fit gave lies in `sides`."""
        for name, side in self.sides.items():
            threading.Thread(target=self._run, args=(side,), name=f"fit {name}", daemon=True).start()
        try:
            while min(list(map(self._turn, self.sides.values()))):  # all take their turn, also where one is through
                yield min(side.fitted.steps[-1] for side in self.sides.values())
        finally:
            self._over = True
            for side in self.sides.values():
                side.go.release()

    def _turn(self, side: Side) -> bool:
        side.go.release()
        told = self._told.get()
        if isinstance(told, BaseException):
            raise told
        return told

    def _run(self, side: Side) -> None:
        def report(step: int, fitted: Fitted, state: Any) -> None:
            assert step == fitted.steps[-1], "a loop reports what it has just scored"
            side.fitted, side.state = fitted, state
            self._told.put(True)
            self._wait(side)

        try:
            self._wait(side)
            side.fitted, side.state = side.start(report), None
            self._told.put(False)
        except _EnoughError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._told.put(error)

    def _wait(self, side: Side) -> None:
        side.go.acquire()
        if self._over:
            raise _EnoughError
