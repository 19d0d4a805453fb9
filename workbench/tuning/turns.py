"""The families of a stack in turn, each with a searcher of its own.

A searcher of all families would choose among them too: it leaves one after a few unlucky trials, and what it learns of
good values is what the leading family does well with. But a stack is made of the best of each; and the best of many
trials has more luck in its score, by which the stack weighs it, than the best of three.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from workbench.tuning.space import FAMILY


class InTurn(Searcher):
    """Asks the searcher of the family that was tried least, the first of equal ones, and tells it what came of that."""

    def __init__(self, searchers: Mapping[str, Searcher], tried: Counter[str]) -> None:
        first = next(iter(searchers.values()))
        super().__init__(metric=first.metric, mode=first.mode)
        self._searchers, self._tried = searchers, Counter(tried)
        self._asked: dict[str, Searcher] = {}  # by trial

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The values of a trial."""
        family = min(self._searchers, key=lambda one: self._tried[one])
        self._tried[family] += 1
        search = self._asked[trial_id] = self._searchers[family]
        drawn: dict[str, Any] | None = search.suggest(trial_id)
        return drawn and {FAMILY: family, **drawn}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """How a trial stands."""
        self._asked[trial_id].on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """What came of it."""
        self._asked[trial_id].on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a sweep goes on from the records of its trials."""
