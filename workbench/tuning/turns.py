"""The families of a stack in turn, each with a searcher of its own.

A searcher of all families would choose among them too: it leaves one after a few unlucky trials, and what it learns of
good values is what the leading family does well with. But a stack is made of the best of each; and the best of many
trials has more luck in its score, by which the stack weighs it, than the best of three.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from ray.tune.search import Searcher


class InTurn(Searcher):
    """Asks the searcher of the family that was tried least, the first of equal ones, and tells it what came of that."""

    def __init__(self, searchers: Mapping[str, Searcher], tried: Mapping[str, int], once: Collection[str] = ()) -> None:
        """`tried`: the trials of each family that are over. `once`: families that would only repeat their first one."""
        first = next(iter(searchers.values()))
        super().__init__(metric=first.metric, mode=first.mode)
        self._searchers, self._once = searchers, once
        self._turns = Counter(tried)
        self._family: dict[str, str] = {}  # by trial

    def suggest(self, trial_id: str) -> Any:
        """The values of a trial; `Searcher.FINISHED` where no family has another one."""
        waiting = [one for one in self._searchers if one not in self._once or not self._turns[one]]
        if not waiting:
            return self.FINISHED
        family = self._family[trial_id] = min(waiting, key=lambda one: self._turns[one])
        self._turns[family] += 1
        return self._searchers[family].suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """How a trial stands."""
        self._of(trial_id).on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """What came of it. A family that fails waits like those tried most: it does not catch up after a restart."""
        self._of(trial_id).on_trial_complete(trial_id, result, error)
        if error:
            self._turns[self._family[trial_id]] = max(self._turns.values())

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a sweep goes on from the records of its trials."""

    def _of(self, trial_id: str) -> Searcher:
        return self._searchers[self._family[trial_id]]
