"""A search space as `conf/tune/*.yaml` says it, and how one point of it is drawn by Optuna's `suggest_` functions.

A space is a tree of sections that mirrors the config's, down to a key's range or values. A trial trains one family of
`tune.families`; keys of the others are not drawn, nor is a key whose `when` does not hold.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import ConfigError, raise_all

if TYPE_CHECKING:
    from workbench.config import Config

FAMILY = "family"  # what a trial's family is called beside its keys
WORDS = ("low", "high", "log", "step", "values", "when")
CHANGING = (  # keys that a fit may go on with in another value; the others shape the model, or how it is fed
    "learning_rate", "weight_decay", "dropout", "positive_weight", "focal_gamma", "max_depth", "min_child_weight",
    "subsample", "colsample_bytree", "reg_lambda", "num_leaves", "min_data_in_leaf", "bagging_fraction",
    "feature_fraction", "lambda_l2",
)  # fmt: skip
Values = dict[str, Any]  # by dotted key, and the family


class Draw(Protocol):
    """What is asked of an Optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number of a range, its ends included."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number of a range, its ends included."""

    def suggest_categorical(self, name: str, choices: list[str]) -> str:
        """One of some texts."""


@dataclass(frozen=True)
class Parameter:
    """A key and what it may be: a range, or some values."""

    key: str
    whole: bool = False  # a range of whole numbers
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    values: tuple[Any, ...] = ()
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()  # other keys, each with the values that it must have

    @property
    def family(self) -> str:
        """The family whose key it is."""
        return self.key.split(".")[1]

    @property
    def changes(self) -> bool:
        """Whether a fit that has begun may go on with another value."""
        return self.key.rpartition(".")[2] in CHANGING

    def active(self, drawn: Mapping[str, Any]) -> bool:
        """Whether it is drawn, after what was drawn before."""
        return drawn[FAMILY] == self.family and all(
            key in drawn and drawn[key] in allowed for key, allowed in self.when
        )

    def drawn(self, trial: Draw) -> Any:
        """A value for it."""
        if self.values:
            return json.loads(trial.suggest_categorical(self.key, [json.dumps(value) for value in self.values]))
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return trial.suggest_int(self.key, int(self.low or 0), int(self.high or 0), step=step, log=self.log)
        return trial.suggest_float(self.key, self.low or 0.0, self.high or 0.0, step=self.step, log=self.log)

    @property
    def some(self) -> tuple[Any, ...]:
        """All of its values, or of a range the ends and the number after the first."""
        first, step = self.low or 0, self.step or 1
        return self.values or tuple(dict.fromkeys((first, min(first + step, self.high or 0), self.high)))

    def raw(self, value: Any) -> Any:
        """A value as Optuna holds it: of `values`, which may be lists, their text."""
        return json.dumps(value) if self.values else value

    def nearest(self, value: Any) -> Any:
        """The value itself, or the end of the range that it has left."""
        if self.values:
            return value
        near = min(max(value, self.low or 0.0), self.high or 0.0)
        if self.step is not None:
            near = (self.low or 0.0) + round((near - (self.low or 0.0)) / self.step) * self.step
        return round(near) if self.whole else near

    def holds(self, value: Any) -> bool:
        """Whether a value could have been drawn."""
        if self.values:
            return value in self.values
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        steps = 0.0 if self.step is None else (value - (self.low or 0)) / self.step
        return (self.low or 0) <= value <= (self.high or 0) and abs(steps - round(steps)) < 1e-9


@dataclass(frozen=True)
class Space:
    """What a sweep draws from: families, and the keys of each in an order in which conditions come first."""

    families: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """What a trial's values may name."""
        return (FAMILY, *(one.key for one in self.parameters))

    @classmethod
    def of(cls, cfg: "Config") -> "Space":
        """The space of a config; raises `ConfigError` with everything that is wrong with it."""
        from workbench.tuning import rules

        raise_all(ConfigError, "The search space is wrong:", list(rules.broken(cfg)))
        return cls(tuple(cfg.tune.families), tuple(ordered(rules.parameters(cfg))))

    def draw(self, trial: Draw) -> Values:
        """The family and the active keys of one trial."""
        families = list(self.families)
        drawn: Values = {FAMILY: trial.suggest_categorical(FAMILY, families) if families[1:] else families[0]}
        for one in self.parameters:
            if one.active(drawn):
                drawn[one.key] = one.drawn(trial)
        return drawn

    def raw(self, values: Values) -> Values:
        """Drawn values as Optuna holds them; keys that are not drawn from this space are left out."""
        families = {FAMILY: values[FAMILY]} if self.families[1:] else {}
        return families | {
            one.key: one.raw(values[one.key])
            for one in self.parameters
            if one.active(values) and one.key in values and one.holds(values[one.key])
        }

    def begin(self, cfg: "Config") -> list[Values]:
        """For each family the values that the config has now: a sweep first tries what it is to improve on."""
        first = []
        for family in self.families:
            mine = [one.key for one in self.parameters if one.family == family]
            first.append({FAMILY: family} | {key: current(cfg, key) for key in mine})
        return first


def applied(cfg: "Config", values: Values) -> "Config":
    """A copy of the config that trains the drawn family with the drawn values."""
    cfg = copy.deepcopy(cfg)
    cfg.train.families = [values[FAMILY]]
    for key, value in values.items():
        if key != FAMILY:
            _, family, name = key.split(".", 2)
            setattr(getattr(cfg.train, family), name, value)
    return cfg


def current(cfg: "Config", key: str) -> Any:
    """The value that a config has at a dotted key."""
    _, family, name = key.split(".", 2)
    return getattr(getattr(cfg.train, family), name)


def ordered(parameters: list[Parameter]) -> Iterator[Parameter]:
    """The parameters, each after those that its condition names; those of a circle are left out."""
    waiting, done = list(parameters), {FAMILY}
    while ready := [one for one in waiting if {key for key, _ in one.when} <= done]:
        yield from ready
        done |= {one.key for one in ready}
        waiting = [one for one in waiting if one not in ready]
