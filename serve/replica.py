"""An endpoint with a process of its own, and one beside it that moves its journal."""

import gc
import threading

from serve.endpoint import Endpoint
from serve.moves import Target
from serve.moves_apart import MovesApart
from serve.settings import Settings

KEEP_EVERY_S = 0.2


class Replica(Endpoint):
    """What it holds for good is kept from the garbage collector, at the start and several times a second.

    A look through the feature state of 700,000 events stops a process for a quarter of a second, several times while it
    is filled; one through the 50,000 that came since, for 40 ms, once in 2,000 events; one through those of a fifth of
    a second, for 1 ms. (Ray Serve keeps what is there at the start from it as well; not while it is made, nor what
    comes later, nor on a host without Ray.)
    """

    def __init__(self, settings: Settings) -> None:
        gc.disable()
        try:
            super().__init__(settings)
        finally:
            gc.enable()
        keep()
        self.service.compactor.mover = MovesApart(Target.of(settings))
        self.ended = threading.Event()  # it is no endpoint any more, in a process that goes on
        threading.Thread(target=self._keep, name="keeper", daemon=True).start()

    def _keep(self) -> None:
        while not self.ended.wait(KEEP_EVERY_S):
            keep()


def keep() -> None:
    """Look no more through what is there now, after one last look at what has come since the last time.

    What is forgotten later is freed all the same, unless it is a cycle: requests leave none, nor do connections on
    uvloop.
    """
    gc.collect()
    gc.freeze()
