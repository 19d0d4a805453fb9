"""Models of several evaluations on the rows that all of them scored."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError, InputError, raise_all
from workbench.evaluation import card, costs, paired, resample
from workbench.evaluation.scored import Scored
from workbench.features.timeline import micros

CARD = "card.json"


@dataclass(frozen=True)
class Side:
    """One model of one evaluation."""

    evaluation: Artifact
    model: str
    about: dict[str, Any]  # the evaluation's card
    name: str = ""  # what it is called beside the others

    @property
    def called(self) -> tuple[str, str, str]:
        """What may tell it from others."""
        return self.about["experiment"], self.evaluation.key[:8], self.model


def sides(store: Store, runs: Sequence[str], models: Sequence[str]) -> list[Side]:
    """Every asked model of every run; raises `ConfigError` with all that cannot be found."""
    found, faults = list[Side](), list[str]()
    for run in runs:
        evaluations = matching(store, run)
        if len(evaluations) != 1:
            faults.append(_not_one(store, run, evaluations))
            continue
        evaluation = evaluations[0]
        if CARD not in evaluation.manifest["blobs"]:
            faults.append(f"{run} was evaluated before runs had cards. Run workloads.evaluate again.")
            continue
        there = list(evaluation.figures)
        faults += [f"{run} has no model {one}. It has: {', '.join(there)}." for one in models if one not in there]
        about = evaluation.read_json(CARD)
        found += [Side(evaluation, model, about) for model in models if model in there]
    if len(found) < 2 and not faults:
        faults.append(f"compare.runs={list(runs)} and compare.models={list(models)} name fewer than two models.")
    if len({(side.evaluation.key, side.model) for side in found}) < len(found):
        faults.append(f"compare.runs={list(runs)} names one evaluation twice. Name each once.")
    raise_all(ConfigError, "These runs cannot stand side by side:", faults)
    return named(found)


def named(asked: Sequence[Side]) -> list[Side]:
    """The same sides, each called by what tells it from the others: experiment, evaluation, model."""
    told = [side.called for side in asked]
    differ = [place for place in range(3) if len({one[place] for one in told}) > 1]
    names = [" ".join(one[place] for place in differ) for one in told]
    if len(set(names)) < len(names):
        names = [f"{side.evaluation.key} {side.model}" for side in asked]
    return [dataclasses.replace(side, name=name) for side, name in zip(asked, names, strict=True)]


def matching(store: Store, run: str) -> list[Artifact]:
    """The evaluation of this key; else the newest evaluation of a run of this key; either may be shortened."""
    every = [store.get("evaluations", key) for key in store.keys("evaluations")]
    own = [one for one in every if one.key.startswith(run)] if run else []
    if own:
        return [one for one in own if one.key == run] or own
    of_run = [one for one in every if run and any(key.startswith(run) for key in _runs(one).values())]
    several = {tuple(_runs(one).values()) for one in of_run}
    return of_run[-1:] if len(several) == 1 else of_run


def compared(asked: Sequence[Side], samples: int, by_customer: bool) -> tuple[dict[str, Any], list[Scored]]:
    """What a page of them says, and the common rows of each fold with a score for every side."""
    folds, left_out = common(asked)
    draws = resample.resampled(folds, samples, by_customer)
    names = [side.name for side in asked]
    drawn = "customers" if by_customer and folds[0].card_N is not None else "rows"
    pairs = [paired.compared(folds, draws, names[0], name) for name in names[1:]]
    return {
        "sides": names,
        "rows": sum(map(len, folds)),
        "positives": sum(one.positives for one in folds),
        "left_out": left_out,
        "samples": samples,
        "drawn": drawn,
        "figures": {name: paired.means(folds, name) for name in names},
        "intervals": card.intervals(draws),
        "paired": pairs,
        "verdict": " ".join(_verdict(one) for one in pairs),
        "costs": _costs(asked, folds, left_out),
        "evaluations": [_evaluation(side) for side in asked],
        "config": differing([card.flat(side.about["config"]) for side in asked]),
    }, folds


def common(asked: Sequence[Side]) -> tuple[list[Scored], int]:
    """The rows that every side scored, by fold where all sides have the same folds; and how many others there were."""
    tables = [_rows(side) for side in asked]
    ids = tables[0]["id"]
    for one in tables[1:]:
        ids = ids.filter(pc.is_in(ids, value_set=one["id"].combine_chunks()))
    every = pa.chunked_array([chunk for one in tables for chunk in one["id"].chunks]).unique()
    tables = [one.take(pc.index_in(ids, value_set=one["id"].combine_chunks())) for one in tables]
    first = tables[0]
    if not len(ids):
        raise InputError("These runs have no scored row in common. Compare runs of one data set and one split.")
    for side, one in zip(asked, tables, strict=True):
        if differ := pc.sum(pc.not_equal(one["label"], first["label"])).as_py():
            raise InputError(
                f"{differ:,} of the {len(ids):,} common rows of {side.name} have another label than in"
                f" {asked[0].name}. Run workloads.evaluate again on one store."
            )
    alike = all(one["fold"].equals(first["fold"]) for one in tables)
    fold_N = np.asarray(first["fold"].to_pylist()) if alike else np.full(len(ids), "all")
    whole = _scored(asked, tables)
    return [whole.named(str(fold)).rows(fold_N == fold) for fold in np.unique(fold_N)], len(every) - len(ids)


def differing(configs: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """The keys that are not the same in all, with each one's value (None where it has none)."""
    keys = dict.fromkeys(key for one in configs for key in one)
    found = {key: [one.get(key) for one in configs] for key in keys}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def _rows(side: Side) -> pa.Table:
    """Fold, id, time, label, customer and score of every scored row; of an id in several folds the first."""
    told, tables = side.about["data"], []
    for entry in side.evaluation.files:
        rows = snapshots.read_file(side.evaluation, entry)
        fold = pa.repeat(pa.scalar(entry.name.rpartition("-")[0]), rows.num_rows)
        columns = {"id": rows[told["id"]], "time": rows[told["event_time"]], "label": rows["label"]}
        customer = {"customer": rows[told["customer"]]} if told["customer"] else {}
        tables.append(pa.table({"fold": fold, **columns, **customer, "score": rows[f"logit_{side.model}"]}))
    table = pa.concat_tables(tables)
    _, first = np.unique(table["id"].to_numpy(), return_index=True)
    return table.take(np.sort(first))


def _scored(asked: Sequence[Side], tables: Sequence[pa.Table]) -> Scored:
    first = tables[0]
    customer_N = first["customer"].to_numpy() if "customer" in first.column_names else None
    scores = {side.name: one["score"].to_numpy() for side, one in zip(asked, tables, strict=True)}
    capacity = all(side.about["data"]["capacity"] for side in asked)
    return Scored(
        "all",
        first["id"].to_numpy(),
        first["label"].to_numpy(),
        micros(first["time"]),
        customer_N,
        scores,
        {},
        capacity,
    )


def _costs(asked: Sequence[Side], folds: Sequence[Scored], left_out: int) -> dict[str, Any]:
    """Cost curves on the common rows; money as the cards have it, where all of them are of the same rows and prices."""
    normalised = {
        name: costs.normalised(
            np.concatenate([one.label_N for one in folds]), np.concatenate([one.scores[name] for one in folds])
        )
        for name in (side.name for side in asked)
    }
    told = [side.about["costs"]["money"] for side in asked]
    if left_out or not all(told):
        return {"normalised": normalised, "money": None}
    by_price = [{at["false_positive_minor"]: at for at in one} for one in told]
    shared = [price for price in by_price[0] if all(price in one for one in by_price)]
    return {
        "normalised": normalised,
        "money": [
            by_price[0][price]
            | {
                "models": {
                    side.name: own[price]["models"][side.model] for side, own in zip(asked, by_price, strict=True)
                }
            }
            for price in shared
        ],
    }


def _evaluation(side: Side) -> dict[str, Any]:
    runs = side.about["runs"]
    return {
        "name": side.name,
        "key": side.evaluation.key,
        "model": side.model,
        "runs": [run["key"] for run in runs],
        "experiment": side.about["experiment"],
        "code": runs[0]["code"],
    }


def _verdict(pair: dict[str, Any]) -> str:
    """One sentence on average precision, which says no more than its interval does."""
    told = pair["figures"]["average_precision"]
    low, high = told["interval"]
    if low <= 0 <= high:
        return f"{pair['second']} and {pair['first']} cannot be told apart by average precision."
    better, worse = (pair["second"], pair["first"]) if low > 0 else (pair["first"], pair["second"])
    return f"{better} is better than {worse} by {abs(told['difference']):.3f} of average precision."


def _runs(evaluation: Artifact) -> dict[str, str]:
    return {name: key for name, key in evaluation.manifest["parents"].items() if name.startswith("run")}


def _not_one(store: Store, run: str, found: Sequence[Artifact]) -> str:
    if found:
        return f"compare.runs: {run} may be any of {', '.join(one.key for one in found)}. Say more of its key."
    newest = ", ".join(store.keys("evaluations")[-5:]) or "none; run workloads.evaluate first"
    return f"compare.runs: {run or 'an empty key'} is no evaluation or run of {store.root}. The newest: {newest}."
