"""What may be wrong with a search space: each fault says key, value, rule and remedy; all are told at once."""

import copy
import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.decisions import GRID_MEMBERS
from workbench.tuning.config import DIRECTIONS, TuneConfig
from workbench.tuning.space import CHANGING, WORDS, Parameter, ordered

if TYPE_CHECKING:
    from workbench.config import Config

AT = "tune.space."
ANOMALY = "anomaly_feature"
FEWEST = 4  # trials of a population: its worst quarter goes on from its best quarter


def broken(cfg: "Config") -> Iterator[str]:
    """Everything that is wrong with `tune.families` and `tune.space`."""
    from workbench.config import FAMILIES

    families = cfg.tune.families
    if cfg.tune.challenge and cfg.train.ensemble.method == "grid" and len(families) > GRID_MEMBERS:
        yield (
            f"train.ensemble.method=grid tries every mixture, too many of tune.families={families}. Use greedy or"
            f" stacked, or at most {GRID_MEMBERS} families."
        )
    if not families or len(set(families)) < len(families) or not set(families) <= set(FAMILIES):
        yield f"tune.families={families} must name some of {', '.join(FAMILIES)}, each once."
    for family in set(families) & set(FAMILIES):
        if anomaly := getattr(getattr(cfg.train, family), ANOMALY, None):
            yield f"train.{family}.{ANOMALY}={anomaly} is not known to trials. Set it to null, or use train."
    found = list(_leaves(cfg.tune.space))
    for key, leaf in found:
        yield from _leaf_faults(cfg, key, leaf)
    right = {key: leaf for key, leaf in found if not list(_leaf_faults(cfg, key, leaf))}
    for key, leaf in right.items():
        yield from _when_faults(key, leaf, right)
    if len(right) == len(found):
        yield from _circle(cfg)
        if set(families) <= set(FAMILIES):
            yield from group_faults(cfg)
        if cfg.tune.scheduler == "pbt" and set(families) <= set(FAMILIES):
            yield from population_faults(cfg)


def objective_faults(tune: TuneConfig) -> Iterator[str]:
    """What is wrong with the objectives."""
    chosen = tune.objectives
    if not set(chosen) <= set(DIRECTIONS) or chosen[:1] != ["average_precision"] or len(set(chosen)) < len(chosen):
        others = ", ".join(one for one in DIRECTIONS if one != "average_precision")
        yield f"tune.objectives={chosen} must name average_precision first, then any of {others}, each once."
    if chosen[1:] and tune.scheduler != "none":
        yield f"tune.scheduler={tune.scheduler} compares one number, and tune.objectives={chosen} are more. Use none."


def population_faults(cfg: "Config") -> Iterator[str]:
    """What a population cannot be of."""
    tune, stated = cfg.tune, f"tune.scheduler=pbt with tune.families={cfg.tune.families}"
    if len(tune.families) != 1 or not {"rounds", "epochs"} & set(vars(getattr(cfg.train, tune.families[0]))):
        yield f"{stated}: a population is of one family that is fitted in rounds or epochs. Name one such family."
        return
    changing = [one for one in parameters(cfg) if one.changes]
    if not changing:
        yield f"{stated}: no key of tune.space may change as a fit goes on. Search some of {', '.join(CHANGING)}."
    if tied := [one.key for one in parameters(cfg) if one.when]:
        yield f"tune.scheduler=pbt gives every trial the same keys, and {', '.join(tied)} have a `when`. Leave it out."
    if tune.challenge:
        yield "tune.challenge=true trains anew, and tune.scheduler=pbt finds a schedule of values. Use another one."
    if tune.workers_per_trial > 1:
        yield f"tune.workers_per_trial={tune.workers_per_trial} with tune.scheduler=pbt; a trial fits alone. Use 1."
    if tune.trials < FEWEST:
        yield f"tune.trials={tune.trials} is the population of tune.scheduler=pbt. Use {FEWEST} or more."


def group_faults(cfg: "Config") -> Iterator[str]:
    """What trials cannot be told that are fitted by a group of workers: it reports when it is through."""
    tune, drawn = cfg.tune, {one.key: one for one in parameters(cfg)}
    if (workers := tune.workers_per_trial) == 1:
        return
    stated = f"tune.workers_per_trial={workers}"
    if tune.scheduler in ("asha", "median"):
        yield f"tune.scheduler={tune.scheduler} with {stated}: a group is not stopped half way. Use none, or 1 worker."
    boosted = [one for one in tune.families if hasattr(getattr(cfg.train, one), "rounds")]
    if boosted and tune.patience is not None:
        yield f"tune.patience={tune.patience} with {stated}: a group fits {', '.join(boosted)} to the end. Use null."
    for family in tune.families:
        key, hyper = f"train.{family}.batch_size", getattr(cfg.train, family)
        sizes = drawn[key].some if key in drawn else (getattr(hyper, "batch_size", workers),)
        if wrong := [str(size) for size in sizes if size % workers]:
            yield f"{key} may be {', '.join(wrong)}, which {stated} do not divide. Use sizes that they do."


def parameters(cfg: "Config") -> list[Parameter]:
    """The parameters of a space that has no fault, those of the chosen families."""
    found = [_parameter(key, leaf) for key, leaf in _leaves(cfg.tune.space)]
    return [one for one in found if one.family in cfg.tune.families]


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the tree with its leaf: a mapping of the words of a range, a list of values, or what is neither."""
    if isinstance(tree, dict) and not (path and tree and set(tree) <= set(WORDS)):
        for name, one in tree.items():
            yield from _leaves(one, f"{path}.{name}".lstrip("."))
    else:
        yield path, {"values": tree} if isinstance(tree, list) else tree


def keys() -> dict[str, Any]:
    """Every key that may be searched, and its type."""
    from workbench.config import FAMILIES, TrainConfig

    families = typing.get_type_hints(TrainConfig)
    return {
        f"train.{family}.{name}": hint
        for family in FAMILIES
        for name, hint in typing.get_type_hints(families[family]).items()
        if name in {one.name for one in dataclasses.fields(families[family])}
    }


def _leaf_faults(cfg: "Config", key: str, leaf: Any) -> Iterator[str]:
    if not isinstance(leaf, dict):
        yield f"{AT}{key}={leaf} is no range. Use {{low: ..., high: ...}} or a list of values."
        return
    known = keys()
    if key not in known:
        near = difflib.get_close_matches(key, known, 3, 0.6) or ["train.FAMILY.KEY, of conf/KEYS.md"]
        yield f"{AT}{key} is no key of a model. Did you mean {' or '.join(near)}?"
        return
    if key.endswith(f".{ANOMALY}"):
        yield f"{AT}{key} is not known to trials, which fit one family each. Leave it out, or use train."
        return
    faults = list(_value_faults(key, leaf, known[key]) if "values" in leaf else _range_faults(key, leaf, known[key]))
    yield from faults or _limit_faults(cfg, key, leaf)


def _value_faults(key: str, leaf: dict[str, Any], hint: Any) -> Iterator[str]:
    values = leaf["values"]
    if extra := sorted(set(leaf) - {"values", "when"}):
        yield f"{AT}{key} has values and {', '.join(extra)} as well. Use the one or the other."
    if not isinstance(values, list) or not values:
        yield f"{AT}{key}.values={values} is no list of values. Name at least one."
        return
    if len({repr(value) for value in values}) < len(values):
        yield f"{AT}{key}.values={values} names a value twice. Name each once."
    for value in values:
        if not fits(value, hint):
            yield f"{AT}{key}.values holds {value!r}, and the key is of type {_name(hint)}. Use values of that type."


def _range_faults(key: str, leaf: dict[str, Any], hint: Any) -> Iterator[str]:
    kinds = _kinds(hint)
    if not kinds & {int, float}:
        yield f"{AT}{key} is a range, and the key is of type {_name(hint)}. Use a list of values."
        return
    if missing := [word for word in ("low", "high") if leaf.get(word) is None]:
        yield f"{AT}{key} has no {' and no '.join(missing)}. A range needs both; or use a list of values."
        return
    number = float if float in kinds else int
    ends = {word: leaf[word] for word in ("low", "high", "step") if leaf.get(word) is not None}
    if wrong := {word: value for word, value in ends.items() if not fits(value, number)}:
        told = ", ".join(f"{word}={value!r}" for word, value in wrong.items())
        yield f"{AT}{key}: {told}, and the key is of type {_name(hint)}. Use numbers of that type."
        return
    yield from _order_faults(key, leaf)


def _order_faults(key: str, leaf: dict[str, Any]) -> Iterator[str]:
    low, high, step = leaf["low"], leaf["high"], leaf.get("step")
    if not isinstance(log := leaf.get("log", False), bool):
        yield f"{AT}{key}.log={log} must be true or false."
    if not low <= high:
        yield f"{AT}{key}: low={low} is greater than high={high}. Use a low that is not."
    if log and not low > 0:
        yield f"{AT}{key}: low={low} with log=true; only numbers greater than 0 have a logarithm. Use another low."
    if step is not None and not step > 0:
        yield f"{AT}{key}.step={step} must be greater than 0."
    if step is not None and log:
        yield f"{AT}{key} has log=true and a step. Use one of the two."


def _limit_faults(cfg: "Config", key: str, leaf: dict[str, Any]) -> Iterator[str]:
    """What the key's own limits say of the ends of the range or of the values."""
    from workbench import validation

    _, family, name = key.split(".", 2)
    for value in leaf.get("values") or [leaf["low"], leaf["high"]]:
        tried = copy.copy(cfg)
        tried.train = copy.copy(cfg.train)
        tried.scaling = dataclasses.replace(cfg.scaling, workers=1, min_workers=None)  # trials have their own
        setattr(tried.train, family, dataclasses.replace(getattr(cfg.train, family), **{name: value}))
        for fault in validation.value_faults(tried):
            if fault.startswith(f"{key}="):
                yield f"{AT}{fault}"


def _when_faults(key: str, leaf: dict[str, Any], all_of_them: dict[str, Any]) -> Iterator[str]:
    when = leaf.get("when")
    if when is None:
        return
    if not isinstance(when, dict) or not when:
        yield f"{AT}{key}.when={when} is no condition. Use {{KEY: VALUE}} or {{KEY: [VALUE, ...]}}."
        return
    for other, allowed in _conditions(when):
        if other == key or other not in all_of_them:
            near = difflib.get_close_matches(other, [one for one in all_of_them if one != key], 3, 0.6)
            more = f" Did you mean {' or '.join(near)}?" if near else " Name a key of tune.space."
            yield f"{AT}{key}.when names {other}, which is not searched beside it.{more}"
        elif other.split(".")[1] != key.split(".")[1]:
            yield f"{AT}{key}.when names {other}, a key of another family: a trial has one. Leave it out."
        elif never := [value for value in allowed if not _parameter(other, all_of_them[other]).holds(value)]:
            yield f"{AT}{key}.when: {other} is never {' or '.join(map(str, never))}. Use values that it can have."


def _circle(cfg: "Config") -> Iterator[str]:
    found = [_parameter(key, leaf) for key, leaf in _leaves(cfg.tune.space)]
    searched, done = {one.key for one in found}, {one.key for one in ordered(found)}
    known = {key for one in found for key, _ in one.when} <= searched
    if known and (left := sorted(searched - done)):
        yield f"{AT}: the conditions of {', '.join(left)} go in a circle. Leave one of them out."


def _parameter(key: str, leaf: dict[str, Any]) -> Parameter:
    hint = keys()[key]
    when = tuple(_conditions(leaf.get("when") or {})) if isinstance(leaf.get("when"), dict) else ()
    if "values" in leaf:
        values = [float(one) if _kinds(hint) == {float} and one is not None else one for one in leaf["values"]]
        return Parameter(key, values=tuple(values), when=when)
    whole = float not in _kinds(hint)
    number = int if whole else float
    step = leaf.get("step")
    low, high = number(leaf["low"]), number(leaf["high"])
    return Parameter(key, whole, low, high, bool(leaf.get("log")), None if step is None else number(step), when=when)


def _conditions(when: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The other keys, nested or dotted, each with the values that it must have."""
    for name, value in when.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{other}", allowed) for other, allowed in _conditions(value))
        else:
            yield name, tuple(value) if isinstance(value, list) else (value,)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a key's type; a whole number is a number too, and true is no number."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is list:
        return isinstance(value, list) and all(fits(one, typing.get_args(hint)[0]) for one in value)
    if hint in (int, float):
        return isinstance(value, int | (float if hint is float else int)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _kinds(hint: Any) -> set[Any]:
    """The types of which a key's values are, without `None`."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return set(typing.get_args(hint) if union else [hint]) - {type(None)}


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint)
