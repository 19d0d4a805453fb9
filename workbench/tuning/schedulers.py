"""Which trials end early: Ray Tune's schedulers, which compare trials by the share of their own steps that is done."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from workbench.tuning.config import FIRST, TuneConfig
from workbench.tuning.space import FAMILY

PROGRESS = "percent"  # of a trial's own rounds or epochs
NEVER = math.inf  # the rule would hold the first trials back where others wait, and ours begin anew when they go on


def scheduler(tune: TuneConfig, families: Sequence[str]) -> TrialScheduler:
    """The scheduler of a sweep; for a stack, which is made of the best of each family, one for each of them."""
    by = {"time_attr": PROGRESS, "metric": FIRST, "mode": "max", "grace_period": tune.grace_percent}
    kinds: dict[str, Callable[[], TrialScheduler]] = {
        "none": FIFOScheduler,
        "asha": lambda: AsyncHyperBandScheduler(max_t=100, reduction_factor=tune.reduction, **by),
        "median": lambda: MedianStoppingRule(min_samples_required=3, min_time_slice=NEVER, **by),
    }
    one = kinds[tune.scheduler]
    return Apart({family: one() for family in families}) if tune.challenge and families[1:] else one()


class Apart(FIFOScheduler):
    """Compares each trial with those of its own family: a family that is behind may still add to a stack."""

    def __init__(self, schedulers: Mapping[str, TrialScheduler]) -> None:
        super().__init__()
        self._schedulers, self._metric = schedulers, FIRST

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A trial that is to begin."""
        self._of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Whether a trial goes on."""
        said: str = self._of(trial).on_trial_result(tune_controller, trial, result)
        return said

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial that is through."""
        self._of(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial that never began."""
        self._of(trial).on_trial_remove(tune_controller, trial)

    def _of(self, trial: Trial) -> TrialScheduler:
        return self._schedulers[trial.config[FAMILY]]
