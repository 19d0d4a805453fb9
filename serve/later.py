"""What is known later of events, labels and corrections: recorded first, then seen by the features that use it.

A call may tell a thousand, each of which costs round trips where the state is shared. So they are looked up a few at a
time, recorded all at once, and taken in a few at a time; between these parts others get their turn (`crowd.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from serve.answered import encoded
from serve.answers import Refusal
from serve.journal import Journal
from serve.schemas import micros
from workbench.features.definitions import known_time_column
from workbench.features.earlier import NO_CORRECTIONS
from workbench.feedback import prediction_log

if TYPE_CHECKING:
    from serve.service import Service

PART = 32  # labels or corrections that are looked up, or taken in, before others get a turn
Parts = Iterator[int]  # the parts of a call, each done when it is asked for: how many the state has taken in


class Correction(NamedTuple):
    """An event as it is known to be later, and since when; None where it is deleted."""

    identity: Any
    version: dict[str, Any] | None
    known_time: int


class LookedUp(NamedTuple):
    """A correction, what is recorded of it, and what is wrong with it."""

    said: Correction
    record: dict[str, Any]
    faults: list[dict[str, str]]


class OneByOne:
    """Takes in calls one after the other: of two labels known at one time the one recorded last counts, here too."""

    def __init__(self, turn: Callable[[], Awaitable[None]]) -> None:
        self._turn, self._lock = turn, asyncio.Lock()

    async def taken_in(self, parts: Parts) -> int:
        """How many the feature state has taken in of a call; others had their turn between its parts."""
        async with self._lock:
            try:
                return await self._in_turns(parts)
            finally:
                sum(parts)  # whoever asked may have gone; what is recorded counts all the same

    async def _in_turns(self, parts: Parts) -> int:
        known = 0
        for count in parts:
            known += count
            await self._turn()
        return known


def answer(told: Sequence[Any], known: int) -> dict[str, int]:
    """What is said of a call that is taken in."""
    return {"accepted": len(told), "in_feature_state": known}


def labels(service: "Service", told: Sequence[Any]) -> Parts:
    """Take in late labels."""
    service.check_room()
    records, id_column = list[dict[str, Any]](), service.settings.data.id
    for part in _few(told):
        with service.alone:
            records += [_record(service, one) for one in part]
        yield 0
    _append(service.feedback, records)
    for part in _few(told):
        with service.alone:
            state = service.state
            known = sum(state.label(getattr(one, id_column), bool(one.label), micros(one.known_time)) for one in part)
        yield known


def corrections(service: "Service", told: Sequence[Any]) -> Parts:
    """Take in what is known later of events, or that they are deleted; raises `Refusal` 422 with all faults."""
    if service.bundle.feature_set.sequence:
        raise Refusal(422, NO_CORRECTIONS)
    service.check_room()
    found = list[LookedUp]()
    for part in _few(list(enumerate(told))):
        with service.alone:
            found += [_looked_up(service, number, _correction(service, one)) for number, one in part]
        yield 0
    service.check([fault for one in found for fault in one.faults])
    _append(service.corrections, [one.record for one in found])
    # no other: an event that came meanwhile is taken for unknown by its record, and so when the state is filled again
    for part in _few([one.said for one in found if one.record["in_state"]]):
        with service.alone:
            known = sum(service.state.correct(*said) for said in part)
        yield known


def _few(listed: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (listed[start : start + PART] for start in range(0, len(listed), PART))


def _append(journal: Journal, records: list[dict[str, Any]]) -> None:
    now = prediction_log.now_us()
    journal.append([{**one, "recorded_at": now} for one in records])


def _record(service: "Service", told: Any) -> dict[str, Any]:
    """What is recorded of a label."""
    identity = getattr(told, service.settings.data.id)
    about = {"label": told.label, "scenario": told.scenario, "known_time": micros(told.known_time)}
    return {"id": str(identity), **about, "event_time": service.state.time_of(identity)}


def _correction(service: "Service", told: Any) -> Correction:
    data, known_time = service.settings.data, micros(told.known_time)
    identity = getattr(told, data.id)
    if told.event is None:
        return Correction(identity, None, known_time)
    version = {data.id: identity, **service.values(told.event), known_time_column(data): known_time}
    return Correction(identity, version, known_time)


def _looked_up(service: "Service", number: int, said: Correction) -> LookedUp:
    known_from = service.state.known_from(said.identity)
    record = {
        "id": str(said.identity),
        "event": None if said.version is None else encoded(said.version),
        "known_time": said.known_time,
        "position": number,
        "in_state": known_from is not None,
    }
    return LookedUp(said, record, [*_faults(service, f"$.corrections[{number}]", said, known_from)])


def _faults(service: "Service", where: str, said: Correction, known_from: int | None) -> Iterator[dict[str, str]]:
    """What is wrong with a correction."""
    if said.version is not None:
        yield from service.ahead(said.version, f"{where}.event")
    if known_from is not None and said.known_time < known_from:
        yield {"field": f"{where}.known_time", "rule": "Not before the event itself was known"}
