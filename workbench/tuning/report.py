"""What a person reads of a sweep: a table, what mattered, and how the good trials differ from the others."""

import io
import json
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import optuna
import pyarrow as pa
from matplotlib import pyplot
from matplotlib.axes import Axes

from workbench.report import charts
from workbench.report.templates import filled
from workbench.tuning.config import FIRST
from workbench.tuning.records import FINISHED, Record, best, finished
from workbench.tuning.search import study
from workbench.tuning.space import FAMILY, Space

FEWEST = 4  # finished trials of a family, of which a forest can say what mattered
STYLE = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def table(records: Sequence[Record], objectives: Sequence[str]) -> pa.Table:
    """A row per trial, in the order of their ends."""
    rows = [
        {
            "trial": one.name, "family": one.family, "status": one.status, "steps": one.steps,
            "seconds": one.seconds, "at_s": one.at_s, "config": json.dumps(one.values), "why": one.why,
            "folds": one.folds, **{name: one.scores.get(name) for name in (*objectives, "roc_auc")},
        }
        for one in records
    ]  # fmt: skip
    texts, numbers = ("trial", "family", "status", "config", "why"), ("seconds", "at_s", *objectives, "roc_auc")
    types = dict.fromkeys(texts, pa.string()) | {"steps": pa.int64(), "folds": pa.list_(pa.float64())}
    return pa.Table.from_pylist(rows, pa.schema(list({**types, **dict.fromkeys(numbers, pa.float64())}.items())))


def importance(space: Space, records: Sequence[Record], family: str) -> dict[str, float]:
    """How much of the variance of a family's scores each key accounts for (fANOVA, Hutter et al. 2014), by key."""
    mine = [one for one in finished(list(records)) if one.family == family]
    keys = [one for one in space.parameters if one.family == family]
    varied = [one.key for one in keys if len({json.dumps(r.values.get(one.key)) for r in mine}) > 1 and not one.when]
    if len(mine) < FEWEST or len({one.scores[FIRST] for one in mine}) == 1 or not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = Space((family,), tuple(keys))
        found = optuna.importance.get_param_importances(
            study(alone, [FIRST], mine),
            params=varied,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
        )
    return {key: float(value) for key, value in found.items()}


def importance_picture(found: dict[str, dict[str, float]]) -> bytes:
    """Bars of the importances, a panel per family, as SVG."""
    shown = {family: keys for family, keys in found.items() if keys}
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(
            1, max(1, len(shown)), figsize=(max(5.0, 4.2 * len(shown)), 3.2), layout="constrained", squeeze=False
        )
        for place, (panel, (family, keys)) in enumerate(zip(axes[0], shown.items(), strict=False)):  # one empty, or all
            names = list(keys)[::-1]
            colour = charts.COLOURS[place % len(charts.COLOURS)]
            panel.barh([_short(name) for name in names], [keys[name] for name in names], color=colour)
            panel.set(title=family, xlabel="share of the variance", xlim=(0, 1))
        if not shown:
            _nothing(axes[0][0], "too few finished trials to say what mattered")
        return _svg(figure)


def parallel_picture(space: Space, records: Sequence[Record]) -> bytes:
    """Parallel coordinates of the finished trials, a panel per family; the darker a line, the better the trial."""
    done = finished(list(records))
    families = [one for one in space.families if any(r.family == one for r in done)]
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(
            max(1, len(families)), 1, figsize=(11, 2.9 * max(1, len(families))), layout="constrained", squeeze=False
        )
        for panel, family in zip(axes[:, 0], families, strict=False):
            _lines(panel, space, [one for one in done if one.family == family], family)
        if not families:
            _nothing(axes[0][0], "no finished trial")
        return _svg(figure)


def _lines(axes: Axes, space: Space, records: Sequence[Record], family: str) -> None:
    keys = [one for one in space.parameters if one.family == family]
    keys = [one for one in keys if len({json.dumps(r.values.get(one.key)) for r in records}) > 1]
    columns = [_heights([r.values.get(one.key) for r in records], one.log) for one in keys]
    scores = np.array([one.scores[FIRST] for one in records])
    columns.append(_heights(list(scores), False))
    shade = columns[-1]
    for row in np.argsort(scores):
        colour = pyplot.get_cmap("viridis_r")(0.1 + 0.9 * shade[row])
        axes.plot([column[row] for column in columns], color=colour, linewidth=1.0, alpha=0.8)
    ends = [_ends([r.values.get(one.key) for r in records]) for one in keys] + [_ends(list(scores))]
    names = [_short(one.key) for one in keys] + ["average precision"]
    axes.set_xticks(range(len(names)), [f"{n}\n{low} to {high}" for n, (low, high) in zip(names, ends, strict=True)])
    axes.set(title=family, yticks=[], ylim=(-0.1, 1.05))


def _heights(values: list[Any], log: bool) -> np.ndarray:
    """Places from 0 to 1; texts and lists in their order, what was not drawn below all others."""
    if all(isinstance(one, int | float) for one in values if one is not None):
        numbers = np.array([np.nan if one is None else float(one) for one in values])
        numbers = np.log(numbers) if log else numbers
    else:
        order = sorted({json.dumps(one) for one in values if one is not None})
        numbers = np.array([np.nan if one is None else float(order.index(json.dumps(one))) for one in values])
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    return np.nan_to_num((numbers - low) / (high - low) if high > low else numbers * 0 + 0.5, nan=-0.1)


def _ends(values: list[Any]) -> tuple[str, str]:
    there = [one for one in values if one is not None]
    if all(isinstance(one, int | float) for one in there):
        return f"{min(there):.3g}", f"{max(there):.3g}"
    order = sorted({json.dumps(one) for one in there})
    return order[0], order[-1]


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _nothing(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center")
    axes.axis("off")


def _svg(figure: Any) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return sink.getvalue()


def page(name: str, why: str, records: Sequence[Record], objectives: Sequence[str], pictures: dict[str, bytes]) -> str:
    """The sweep on one page."""
    winner = best(list(records))
    return filled(
        "sweep.html",
        name=name,
        why=why,
        winner=winner,
        objectives=objectives,
        counts={
            status: sum(one.status == status for one in records) for status in dict.fromkeys(r.status for r in records)
        },
        records=sorted(records, key=lambda one: (one.status != FINISHED, -one.scores.get(FIRST, -1.0))),
        front={one.name for one in front(records, objectives)},
        family=FAMILY,
        pictures={name: content.decode().partition("<svg")[2] for name, content in pictures.items()},
    )


def front(records: Sequence[Record], objectives: Sequence[str]) -> list[Record]:
    """The finished trials that no other beats in one objective without losing in another."""
    from workbench.tuning.config import DIRECTIONS

    signs = np.array([1 if DIRECTIONS[one] == "max" else -1 for one in objectives])
    done = finished(list(records))
    scores = [signs * np.array([one.scores[name] for name in objectives]) for one in done]
    beaten = [any((other >= mine).all() and (other > mine).any() for other in scores) for mine in scores]
    return [one for one, worse in zip(done, beaten, strict=True) if not worse]
