"""The models of a replica: who answers a customer, and what is written of those that score beside.

All of it is one immutable value that is replaced whole: a request takes one reference and is answered by it to its end,
whatever is swapped meanwhile.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, NamedTuple
from zlib import crc32

from workbench.models.bundle import Bundle

PLACES = 10_000  # customers are dealt into so many


class NoNumber(ArithmeticError):
    """A model's score is no number."""


class Decided(NamedTuple):
    """A decision, by whom, and what its record says of the model that scored beside it (nothing, where none did)."""

    bundle: Bundle
    score: float
    member_logits: list[float]
    flagged: bool
    beside: dict[str, Any]


ALONE: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Models:
    """What is live here after `step` rows of the ledger."""

    champion: Bundle
    canary: Bundle | None = None
    percent: int = 0  # of the customers, whom the canary answers
    shadows: tuple[Bundle, ...] = ()
    step: int = 0

    def decide(self, customer: Any, features: list[float]) -> Decided:
        """The decision on a customer's event; raises `NoNumber` where the champion has none."""
        if self.canary is not None and self._answers(self.canary, customer):
            return self._paired(self.canary, features)
        score, member_logits, flagged = _scored(self.champion, features)
        return Decided(self.champion, score, member_logits, flagged, ALONE)

    def decide_many(self, customers: Sequence[Any], features: Sequence[list[float]]) -> Iterator[Decided]:
        """The decisions on some events; the champion's own in one run."""
        canary, champion = self.canary, self.champion
        paired = [canary is not None and self._answers(canary, one) for one in customers]
        own = iter(champion.scorer.many([row for row, pair in zip(features, paired, strict=True) if not pair]))
        for row, pair in zip(features, paired, strict=True):
            if pair and canary is not None:
                yield self._paired(canary, row)
            else:
                score, member_logits = next(own)
                yield Decided(champion, _number(score, champion), member_logits, score >= champion.threshold, ALONE)

    def held(self) -> dict[str, Bundle]:
        """All of them by their versions."""
        there = (self.champion, *([self.canary] if self.canary else []), *self.shadows)
        return {bundle.version: bundle for bundle in there}

    def _answers(self, canary: Bundle, customer: Any) -> bool:
        """Whether a customer is the canary's."""
        return place(customer, canary.version) < self.percent * PLACES // 100

    def _paired(self, canary: Bundle, features: list[float]) -> Decided:
        """The canary's decision beside the champion's; the champion's where the canary has none."""
        started = perf_counter_ns()
        score, logits, flagged = _scored(self.champion, features)
        between = perf_counter_ns()
        champion_us = (between - started) // 1000
        try:
            other_score, other_logits, other_flagged = _scored(canary, features)
        except Exception as error:  # noqa: BLE001 - whatever a canary raises must not hurt its customers
            fault = {"other_version": canary.version, "other_fault": type(error).__name__}
            beside = {"alias": "champion", "scored_us": champion_us, **fault}
            return Decided(self.champion, score, logits, flagged, beside)
        beside = {
            "alias": "canary",
            "scored_us": (perf_counter_ns() - between) // 1000,
            "other_version": self.champion.version,
            "other_score": score,
            "other_flagged": flagged,
            "other_us": champion_us,
        }
        return Decided(canary, other_score, other_logits, other_flagged, beside)


def place(customer: Any, salt: str) -> int:
    """The place of a customer among `PLACES`: stable, on every replica, and another one for each canary."""
    return crc32(str(customer).encode(), crc32(salt.encode())) % PLACES


def _scored(bundle: Bundle, features: list[float]) -> tuple[float, list[float], bool]:
    score, member_logits = bundle.scorer.one(features)
    return _number(score, bundle), member_logits, score >= bundle.threshold


def _number(score: float, bundle: Bundle) -> float:
    if not math.isfinite(score):
        raise NoNumber(f"version {bundle.version} has no score")
    return score
