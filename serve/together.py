"""Events that are answered together: one run of the model and one write for all of them.

Much of what a run costs does not depend on its rows: a run of eight rows of the payments ensemble takes 72 us, eight
runs of one 264. So what one call asks for is scored in parts (`batch.py`), and so are single requests that have company
in their turn of the event loop (`crowd.py`).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from serve.service import Question, Service

Answer = dict[str, Any]


def scored(service: Service, questions: Sequence[Question]) -> list[Answer | None]:
    """All answers, recorded; None of an event that is not new: the log has to be asked."""
    answers: list[Answer | None] = [None] * len(questions)
    with service.alone:
        new, found = list[int](), list[Any]()
        try:
            for place, question in enumerate(questions):
                if taken := service.state.taken(question.values, more=bool(new)):
                    new.append(place)
                    found.append(taken)
            records = list(_records(service, [questions[place] for place in new], found))
            if records:
                service.predictions.append(records)
        except BaseException:
            service.state.take_back()
            raise
    for place, record in zip(new, records, strict=True):
        answers[place] = service.answer(questions[place], record)
    return answers


def _records(service: Service, questions: list[Question], found: list[Any]) -> Iterator[dict[str, Any]]:
    if questions:
        customers = [service.customer(question) for question in questions]
        made = service.models.decide_many(customers, [features for _, features in found])
        for question, (place, features), decided in zip(questions, found, made, strict=True):
            yield service.record(question, place, features, decided)


class Together:
    """Single requests of one turn of the event loop, as many as the state takes in before the first is recorded."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: list[tuple[Question, asyncio.Future[Answer | None]]] = []

    async def scored(self, asked: Question) -> Answer | None:
        """What `Service.scored` gives, at the end of the turn."""
        service = self._service
        if not service.state.near(asked.values):
            return service.scored(asked)
        if known := service.answered.recent(asked.identity):
            return known.to(asked.text)
        service.check_room()
        return await self._at_the_end(asked)

    def _at_the_end(self, asked: Question) -> asyncio.Future[Answer | None]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._score)  # after all that is ready now
        self._waiting.append((asked, answer))
        if len(self._waiting) == self._service.state.together:
            self._score()
        return answer

    def _score(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            answers = or_faults(self._service, [asked for asked, _ in waiting])
            for (_, answer), found in zip(waiting, answers, strict=True):
                _settle(answer, found)


def or_faults(
    service: Service, questions: list[Question], of_all: tuple[type[Exception], ...] = ()
) -> list[Answer | Exception | None]:
    """The answers; where one cannot be had, each event is tried alone, so that no other is refused for it.

    `of_all`: faults that are no single event's; they are raised, and the others are not tried.
    """
    try:
        return list(scored(service, questions))
    except of_all:
        raise
    except Exception as error:  # noqa: BLE001 - each request tells its own
        if len(questions) == 1:
            return [error]
    return [or_faults(service, [one], of_all)[0] for one in questions]


def _settle(answer: "asyncio.Future[Answer | None]", found: Answer | Exception | None) -> None:
    if answer.done():  # whoever asked has gone; the event counts all the same
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
