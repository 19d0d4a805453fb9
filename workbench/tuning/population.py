"""Population-based training (Jaderberg et al., 2017): trials that fall behind go on from a better one's checkpoint.

What a trial goes on from is its fits' own checkpoints, the best that each was so far, and the schedule: which values
held from which step. Values that shape a model stay those of the checkpoint; the others are changed a little.
"""

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.search import BasicVariantGenerator

from workbench.training.fits import Fitted, Partial
from workbench.tuning.config import FIRST, TuneConfig
from workbench.tuning.lockstep import Side
from workbench.tuning.schedulers import PROGRESS
from workbench.tuning.space import Space, Values

Schedule = list[tuple[int, Values]]  # from which step which values held


@dataclass
class Start:
    """What a trial goes on from, and what it leaves for another one."""

    partial: dict[str, Partial] = field(default_factory=dict)  # by fit
    best: dict[str, Fitted] = field(default_factory=dict)  # by fit: the model and log-odds of the best step so far
    best_step: int = 0
    best_mean: float = -1.0
    schedule: Schedule = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last step that was made."""
        return min((one.step for one in self.partial.values()), default=0)

    @classmethod
    def given(cls) -> "Start":
        """What Tune says to go on from: at the beginning nothing."""
        checkpoint = tune.get_checkpoint()
        if checkpoint is None:
            return cls()
        with checkpoint.as_directory() as folder:
            return cls.read(Path(folder))

    def now(self, values: Values) -> "Start":
        """The same, with values that hold from here on."""
        if not self.schedule or self.schedule[-1][1] != values:
            self.schedule = [*self.schedule, (self.step, values)]
        return self

    def write(self, folder: Path) -> None:
        """Plain files, without code."""
        about = {"step": self.step, "best_step": self.best_step, "best_mean": self.best_mean}
        (folder / "about.json").write_text(json.dumps({**about, "schedule": self.schedule}))
        for fit, partial in self.partial.items():
            (folder / fit).mkdir()
            (folder / fit / "fitted.npz").write_bytes(partial.fitted.to_bytes())
            (folder / fit / "best.npz").write_bytes(self.best[fit].to_bytes())
            for name, content in partial.state.items():
                (folder / fit / f"state-{name}").write_bytes(content)

    @classmethod
    def read(cls, folder: Path) -> "Start":
        """What `write` left."""
        about = json.loads((folder / "about.json").read_text())
        partial, best = {}, {}
        for fit in sorted(one for one in folder.iterdir() if one.is_dir()):
            state = {one.name.removeprefix("state-"): one.read_bytes() for one in fit.glob("state-*")}
            fitted = Fitted.from_bytes((fit / "fitted.npz").read_bytes())
            partial[fit.name] = Partial(about["step"], fitted, state)
            best[fit.name] = Fitted.from_bytes((fit / "best.npz").read_bytes())
        schedule = [(step, values) for step, values in about["schedule"]]
        return cls(partial, best, about["best_step"], about["best_mean"], schedule)


def report(told: dict[str, Any], start: Start) -> None:
    """Tell Tune how a trial stands, with what it or another one may go on from."""
    with tempfile.TemporaryDirectory(prefix="wb-population-") as folder:
        start.write(Path(folder))
        tune.report(told, checkpoint=tune.Checkpoint.from_directory(folder))


def partial(step: int, side: Side) -> Partial:
    """A fit as it stands; of its log-odds the newest are enough to go on."""
    assert side.state is not None
    done = side.fitted
    history = Fitted(list(done.steps), list(done.average_precision), list(done.train_loss), done.logits_SN[-1:])
    return Partial(step, history, side.state())


def scheduler(space: Space, told: TuneConfig) -> PopulationBasedTraining:
    """Every `perturb_percent` of the steps the worst quarter goes on from the best one's checkpoints."""
    random.seed(told.seed)  # what it draws from
    drawn = _Draws(space, told.seed + 1)
    keys = [one for one in space.parameters if one.changes]

    def within(values: Values) -> Values:
        return {**values, **{one.key: one.nearest(values[one.key]) for one in keys}}

    return PopulationBasedTraining(
        time_attr=PROGRESS, metric=FIRST, mode="max", perturbation_interval=told.perturb_percent,
        hyperparam_mutations={one.key: drawn.of(one.key) for one in keys}, custom_explore_fn=within, log_config=False,
    )  # fmt: skip


def searcher(space: Space, told: TuneConfig, begin: Sequence[Values], count: int) -> BasicVariantGenerator:
    """The population: the values that the config has now, and draws."""
    drawn = _Draws(space, told.seed)
    points = [*begin, *(drawn.point() for _ in range(count))][:count]
    return BasicVariantGenerator(points_to_evaluate=points)


class _Draws:
    """Points of a space, each key of which is drawn alone."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))

    def point(self) -> Values:
        """All keys."""
        return self.space.draw(self.study.ask())

    def of(self, key: str) -> Any:
        """Draws one key."""
        return lambda: self.point()[key]
