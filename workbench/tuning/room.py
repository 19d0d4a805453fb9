"""What a trial takes of the cluster, and how many trials there is room for at once."""

from typing import Any

from workbench.training import room
from workbench.tuning.config import TuneConfig

CURE = "Use fewer of them, or a larger cluster."
WAITING = {"cpu": 0, "memory": 1}  # what a trial takes whose workers take the rest; Tune wants a resource, so one byte


def resources(told: TuneConfig) -> dict[str, Any]:
    """What Tune sets aside for a trial's own process."""
    if told.workers_per_trial > 1:
        return dict(WAITING)
    return {"cpu": told.cpus_per_trial} | ({"gpu": told.gpus_per_trial} if told.gpus_per_trial else {})


def check(told: TuneConfig) -> None:
    """Raise `EnvironmentFault` where not even one trial has room: Tune would wait for it without end."""
    of_each = f"tune.cpus_per_trial={told.cpus_per_trial:g} and tune.gpus_per_trial={told.gpus_per_trial:g}"
    room.check(f"tune.workers_per_trial={told.workers_per_trial}, {of_each}", told.workers_per_trial, _each(told), CURE)


def at_once(told: TuneConfig) -> int | None:
    """How many trials may run at once; None for as many as Tune finds room for.

    Tune sees the processes of trials and not their workers: it would start trials whose workers never come.
    """
    if told.workers_per_trial == 1:
        return told.concurrent
    together = max(1, int(room.fitting(_each(told)) // told.workers_per_trial))
    return min(told.concurrent or together, together)


def _each(told: TuneConfig) -> dict[str, float]:
    return {"CPU": told.cpus_per_trial, "GPU": told.gpus_per_trial}
