"""How a sweep searches, by Optuna's samplers behind Ray Tune's searcher, and when it is over."""

import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.stopper import Stopper

from workbench.tuning.config import DIRECTIONS, FIRST, TuneConfig
from workbench.tuning.records import FAILED, FINISHED, Record
from workbench.tuning.space import FAMILY, Space, Values
from workbench.tuning.turns import InTurn

STUDY = "sweep"
RANDOM, RANDOM_OF_EACH = 10, 4  # trials, at the most, before a model draws them: of a sweep, of each family of a stack
PROCESS_S = 2.5  # of each winner, which a process of its own scores again: five took up to 13 s more than was kept


def searcher(space: Space, tune: TuneConfig, begin: Sequence[Values], known: Sequence[Record]) -> Searcher:
    """Optuna, told of the trials that are over; it begins with those of the given values that were not tried.

    For a stack the families take turns, each with an Optuna of its own.
    """
    if not tune.challenge or not space.families[1:]:
        return _optuna(space, tune, begin, known, RANDOM)

    def alone(family: str) -> Searcher:
        first = [one for one in begin if one[FAMILY] == family]
        mine = [one for one in known if one.family == family]
        return _optuna(replace(space, families=(family,)), tune, first, mine, RANDOM_OF_EACH)

    once = set(space.families) - {one.family for one in space.parameters}
    return InTurn({one: alone(one) for one in space.families}, Counter(one.family for one in known), once)


def _optuna(
    space: Space, tune: TuneConfig, begin: Sequence[Values], known: Sequence[Record], startup: int
) -> OptunaSearch:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tried = [space.raw(one.values).items() for one in known]
    points = [one for one in map(space.raw, begin) if not any(one.items() <= before for before in tried)]
    return OptunaSearch(
        space.draw,
        metric=_one_or_all(tune.objectives),
        mode=_one_or_all([DIRECTIONS[one] for one in tune.objectives]),
        sampler=_sampler(tune, len(known), startup),
        storage=_remembered(space, tune, known),
        study_name=STUDY,
        points_to_evaluate=points or None,
    )


def _one_or_all(names: list[str]) -> Any:
    return names if names[1:] else names[0]


def _sampler(tune: TuneConfig, known: int, startup: int) -> optuna.samplers.BaseSampler:
    """A sampler that draws the same for the same seed, and something new after a restart."""
    seed = tune.seed + known * 1_000_003
    if tune.searcher == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(4, min(startup, tune.trials // 3)))


def _remembered(space: Space, tune: TuneConfig, known: Sequence[Record]) -> optuna.storages.InMemoryStorage:
    storage = optuna.storages.InMemoryStorage()
    study(space, tune.objectives, known, storage)
    return storage


def study(
    space: Space, objectives: Sequence[str], known: Sequence[Record], storage: optuna.storages.BaseStorage | None = None
) -> optuna.Study:
    """The trials that are over as Optuna sees them; those that failed taught nothing."""
    directions = ["maximize" if DIRECTIONS[one] == "max" else "minimize" for one in objectives]
    found = optuna.create_study(storage=storage, study_name=STUDY, directions=directions)
    for one in known:
        if one.status != FAILED and set(objectives) <= set(one.scores):
            raw = space.raw(one.values)
            scores = [one.scores[name] for name in objectives]
            found.add_trial(optuna.create_trial(params=raw, distributions=_distributions(space, raw), values=scores))
    return found


def _distributions(space: Space, raw: Values) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fixed = optuna.trial.FixedTrial(raw)
        space.draw(fixed)
    return dict(fixed.distributions)


class Ends(Stopper):
    """Ends the whole sweep: at a time, less what is to be done after it, or where nothing gets better any more."""

    def __init__(
        self,
        tune: TuneConfig,
        ends_at: float | None,
        known: Sequence[Record],
        setup_s: float = 0,
        share: float = 1,
    ) -> None:
        """`share`: the fits of a winner that follow, by those of its trial."""
        self.ends_at, self.tune, self.setup_s, self.share = ends_at, tune, setup_s, share
        self.since, self.why = 0, ""
        self._seen: set[str] = set()  # Tune tells of the last result of a trial twice
        self._best: dict[str, float] = {}  # of each family where each counts, in a stack; else of all
        self.longest_s: dict[str, float] = {}  # of the finished trials of each family
        self._under_way: dict[str, tuple[str, float]] = {}  # family and begin (monotonic) by the name that Tune has
        for one in known:
            if one.status == FINISHED:
                self.see(one.family, one.scores[FIRST], one.seconds)

    def begun(self, trial: str, family: str) -> None:
        """Take note of a trial that begins."""
        self._under_way[trial] = family, time.monotonic()

    def over(self, trial: str) -> None:
        """Take note of one that has ended, one way or another."""
        self._under_way.pop(trial, None)

    def __call__(self, trial: str, result: dict[str, Any]) -> bool:
        """Take note of a trial that is through; Tune ends it by itself."""
        if result.get(FINISHED) and trial not in self._seen:
            self._seen.add(trial)
            self.see(result["config"]["family"], result[FIRST], result["seconds"])
        return False

    def see(self, family: str, score: float, seconds: float) -> None:
        """Take note of a finished trial."""
        among = family if self.tune.challenge else ""
        best = self._best.get(among, -1.0)
        self.since = 0 if score >= best + self.tune.plateau_gain else self.since + 1
        self._best[among] = max(best, score)
        self.longest_s[family] = max(seconds, self.longest_s.get(family, 0.0))

    def stop_all(self) -> bool:
        """Whether the sweep is over."""
        reserve_s = self.reserve_s() if self.longest_s else 0.0  # without a finished trial nothing follows
        if self.ends_at is not None and time.monotonic() + reserve_s >= self.ends_at:
            self.why = f"tune.time_budget_s={self.tune.time_budget_s:g} is used up"
        if self.tune.plateau_trials is not None and self.since >= self.tune.plateau_trials:
            self.why = f"no gain of {self.tune.plateau_gain:g} in {self.since} trials"
        return bool(self.why)

    def reserve_s(self) -> float:
        """Seconds for what follows: the report, and for a challenger a fit per family, the judgement and the bundle.

        All but what is done for each family takes about four times what came before the trials, where that was no more
        than Ray's start and reading the rows (uci_default, 24,000 rows: 11 and 40 s). A third of the budget is always
        left for trials.
        """
        budget = self.tune.time_budget_s or 0.0
        if not self.tune.challenge:
            return min(5.0, budget / 10)
        others_s = max(min(60.0, budget / 5), min(4 * self.setup_s, budget / 3))
        return min(self._fits_s() + others_s, budget * 2 / 3)

    def _fits_s(self) -> float:
        """Of a winner of each family: scored again, and fitted. A bound: one after the other, half a trial at least.

        A trial that is not over may still be the longest of its family.
        """
        longest_s, now = dict(self.longest_s), time.monotonic()
        for family, since in self._under_way.values():
            longest_s[family] = max(longest_s.get(family, 0.0), now - since)
        return sum(longest_s.values()) * max(self.share, 0.5) + PROCESS_S * len(longest_s)
