"""What a vector shows of earlier events, for one event at a time: the scalar twin of `sequences.py`.

The vector of an earlier event is made again, as of its own time, from what is remembered; or it is the one that was
made before, while nothing has come since that it would have seen. So what an event is answered depends on what has
arrived, and not on the order in which it did.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from workbench.features.definitions import FeatureSet
from workbench.features.history import Asker, History, end_of
from workbench.features.vector import Event

NO_CORRECTIONS = (
    "The features show earlier events as they were asked (kind previous): corrections are not taken in. Serve a model"
    " whose features have no sequence."
)
Bases = Sequence[float]  # of an event: what a sequence shows of it


class Earlier:
    """The part of a feature set's vectors that shows earlier events."""

    def __init__(self, feature_set: FeatureSet) -> None:
        sequence = feature_set.sequence
        assert sequence is not None
        self.sequence, self.plan = sequence, feature_set.entities.index(sequence.entity)
        names = feature_set.names
        shown = list(dict.fromkeys(one.base for one in sequence.features if one.base is not None))
        self._bases = [names.index(name) for name in shown]
        place = {(one.base, one.back): names.index(one.name) for one in sequence.features}
        backs = range(1, sequence.events + 1)
        self._columns = [([place[name, back] for name in shown], place[None, back]) for back in backs]
        self.kept = sorted(feature_set.columns)  # of an event, to make its vector again

    def bases(self, vector: Sequence[float]) -> Bases:
        """What a sequence shows of the event of this vector."""
        return array("d", [vector[index] for index in self._bases])

    def pack(self, event: Event) -> tuple[Any, ...]:
        """What is kept of an event."""
        return tuple(event.get(name) for name in self.kept)

    def unpack(self, kept: Sequence[Any]) -> Event:
        """The event again."""
        return dict(zip(self.kept, kept, strict=True))

    def fill(
        self, vector: list[float], asker: Asker, history: History, bases_of: Callable[[Any], Bases]
    ) -> list[float]:
        """The same vector with the earlier events of the history of its entity; `bases_of` is asked by their ids."""
        for (places, elapsed), (time, identity) in zip(self._columns, self.seen(history, asker), strict=False):
            for place, value in zip(places, bases_of(identity), strict=True):
                vector[place] = value
            vector[elapsed] = (asker.time - time) / 1e6
        return vector

    def seen(self, history: History, asker: Asker) -> Iterator[tuple[int, Any]]:
        """The time and id of the earlier events that an event sees, the newest first."""
        window, left = self.sequence.window, self.sequence.events
        end, _ = end_of(history, asker, window.delay_us)
        for row in range(end - 1, -1, -1):
            if not left or history.time[row] <= asker.time - window.reach_us:
                return
            if history.known[row] <= asker.time and history.ids[row] != asker.identity:
                yield history.time[row], history.ids[row]
                left -= 1
