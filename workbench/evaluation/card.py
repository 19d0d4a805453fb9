"""The card of a run: data, config, protocol, figures, intervals, slices and curves, as plain values.

It holds all that two runs need to be compared beside each other; `report/judged.py` makes a page of it.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.digest import canonical
from workbench.evaluation import context, costs, paired, resample, slices
from workbench.evaluation.scored import Scored, joined

FORMAT = 1
BEST = "ensemble"  # what is registered; the others stand beside it


def of(
    cfg: Config, runs: Sequence[Artifact], features: Artifact, folds: Sequence[Scored], figures: dict[str, Any]
) -> dict[str, Any]:
    """The card; `figures` are the means over folds and seeds, all else is of the first seed."""
    by_customer = cfg.evaluate.resample == "customers"
    draws = resample.resampled(folds, cfg.evaluate.bootstrap_samples, by_customer)
    validated = Store(features.store.root).get("validated", features.manifest["parents"]["validated"])
    rows = joined(folds)
    amount = context.amount_column(cfg.data, cfg.evaluate.slices.amount)
    known = context.of(validated, cfg.data, rows, amount)
    money = context.is_money(cfg.data, amount)
    parts = slices.cut(rows, known, cfg.evaluate.slices, money)
    return {
        "format": FORMAT,
        "experiment": cfg.name,
        "data": _data(cfg, validated, features, amount),
        "protocol": _protocol(cfg, folds),
        "config": configuration(cfg),
        "runs": [_run(run) for run in runs],
        "drawn": "customers" if by_customer and rows.card_N is not None else "rows",
        "figures": figures,
        "intervals": intervals(draws),
        "operating": {name: _operating(rows, name) for name in rows.flagged},
        "paired": [paired.compared(folds, draws, name, BEST) for name in rows.scores if name != BEST],
        "slices": slices.judged(rows, parts, cfg.evaluate.slices, by_customer),
        "costs": costs.of(
            rows.label_N, rows.scores, rows.flagged, _whole(known.amount_N) if money else None,
            cfg.evaluate.costs.false_positive_minor,
        ),
    }  # fmt: skip


def intervals(draws: resample.Draws) -> dict[str, dict[str, list[float]]]:
    """The central 95 % of each model's figures."""
    return {model: {name: resample.interval(values) for name, values in by.items()} for model, by in draws.items()}


def configuration(cfg: Config) -> dict[str, Any]:
    """What the figures depend on: the config but for where things lie, what is served and who watches."""
    judged = ("name", "data", "features", "train", "evaluate", "scaling")
    chosen = {name: getattr(cfg, name) for name in judged}
    chosen["train"] = {
        name: value
        for name, value in dataclasses.asdict(cfg.train).items()
        if not isinstance(value, dict) or name in cfg.train.families
    }
    return {**json.loads(canonical(chosen)), "register": {"flagged_share": cfg.register.flagged_share}}


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values as one level, `data.split.kind`; lists of plain values stay, others are told by their places."""
    if isinstance(values, dict):
        pairs = [(f"{prefix}.{name}" if prefix else str(name), value) for name, value in values.items()]
    elif isinstance(values, list) and any(isinstance(one, dict | list) for one in values):
        pairs = [(f"{prefix}[{index}]", value) for index, value in enumerate(values)]
    else:
        return {prefix: values}
    return {key: value for name, inner in pairs for key, value in flat(inner, name).items()}


def _data(cfg: Config, validated: Artifact, features: Artifact, amount: str | None) -> dict[str, Any]:
    return {
        "name": cfg.data.name,
        "events": validated.rows,
        "validated": validated.key,
        "features": features.key,
        "feature_count": features.figures["features"],
        "feature_set": features.figures["feature_set"],
        "id": cfg.data.id,
        "event_time": cfg.data.event_time,
        "customer": context.customer(cfg.data),
        "capacity": cfg.data.split.exclude_known is not None,
        "amount": amount,
    }


def _protocol(cfg: Config, folds: Sequence[Scored]) -> dict[str, Any]:
    return {
        "name": cfg.evaluate.protocol,
        "split": json.loads(canonical(cfg.data.split)),
        "seeds": list(cfg.train.seeds),
        "folds": [
            {
                "name": one.fold,
                "rows": len(one),
                "positives": one.positives,
                "customers": None if one.card_N is None else len(np.unique(one.card_N)),
                "from": _day(one.time_us_N.min()),
                "to": _day(one.time_us_N.max()),
            }
            for one in folds
        ],
    }


def _run(run: Artifact) -> dict[str, Any]:
    made = run.manifest
    return {
        "key": run.key,
        "code": made["code"],
        "created": made["created"],
        "weights": made["weights"],
        "steps": made["steps"],
        "validation": run.figures,
    }


def _operating(rows: Scored, model: str) -> dict[str, Any]:
    """What the threshold does on the scored rows."""
    flag_N, bad_N = rows.flagged[model], rows.label_N == 1
    return {
        "flagged": int(flag_N.sum()),
        "share": float(flag_N.mean()),
        "recall": float(flag_N[bad_N].mean()),
        "precision": float(bad_N[flag_N].mean()) if flag_N.any() else None,
    }


def _whole(amount_N: Any) -> Any:
    """Minor units; a row without an amount costs nothing."""
    return None if amount_N is None else np.nan_to_num(amount_N).astype(np.int64)


def _day(time_us: int) -> str:
    return dt.datetime.fromtimestamp(int(time_us) / 1e6, dt.UTC).date().isoformat()
