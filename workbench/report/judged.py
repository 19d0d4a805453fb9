"""The pages of judgements: the card of a run, runs beside each other, and how figures grow with the rows."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from workbench.evaluation.card import flat
from workbench.evaluation.scored import Scored, joined
from workbench.report import panels
from workbench.report.charts import Axis, interval, lines, money
from workbench.report.templates import filled

FIGURES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "card_precision_at_100": "card precision@100",
}


def card(name: str, about: dict[str, Any], folds: Sequence[Scored]) -> str:
    """The page of one evaluation, from its card and the rows that it was judged on."""
    models = list(about["figures"])
    last = folds[-1]
    of_money = about["costs"]["money"] or []
    return filled(
        "card.html",
        name=name,
        about=about,
        models=models,
        figures=FIGURES,
        legend=panels.legend(models),
        ranking=panels.ranking({model: (last, model) for model in models}),
        last=last.fold,
        costs=[
            panels.normalised(about["costs"]["normalised"]),
            *(panels.money(one["models"], one) for one in of_money),
        ],
        slices=_slices(about),
        config=flat(about["config"]),
        money=money,
    )


def comparison(about: dict[str, Any], folds: Sequence[Scored]) -> str:
    """The page of several runs, from what was found and the rows that all of them scored."""
    rows = joined(folds)
    of_money = about["costs"]["money"] or []
    return filled(
        "compare.html",
        about=about,
        figures=FIGURES,
        legend=panels.legend(list(rows.scores)),
        ranking=panels.ranking({name: (rows, name) for name in rows.scores}),
        costs=[
            panels.normalised(about["costs"]["normalised"]),
            *(panels.money(one["models"], one) for one in of_money),
        ],
        money=money,
    )


def learning(about: dict[str, Any]) -> str:
    """The page of a learning curve."""
    return filled(
        "learning.html",
        about=about,
        figures=FIGURES,
        legend=panels.legend(list(about["curves"])),
        pictures=[_growth(about, name) for name in ("average_precision", "roc_auc", "card_precision_at_100")],
    )


def _slices(about: dict[str, Any]) -> list[dict[str, Any]]:
    """The slices with what the best model reaches there, and a picture of it beside all rows."""
    model = "ensemble" if "ensemble" in about["figures"] else next(iter(about["figures"]))
    whole = about["figures"][model]["average_precision"]
    found = []
    for one in about["slices"]:
        own = one["models"].get(model)
        picture: Markup | None = None
        if own:
            value, (low, high) = own["average_precision"]["value"], own["average_precision"]["interval"]
            picture = interval(low, value, high, Axis("", 0, 1), whole)
        found.append({**one, "own": own, "picture": picture})
    return found


def _growth(about: dict[str, Any], figure: str) -> Markup | None:
    """One figure of every model against the training rows, its law and the law's band; None where nobody has it."""
    curves = {model: one[figure] for model, one in about["curves"].items() if one.get(figure)}
    if not curves:
        return None
    values = [
        v for one in curves.values() for point in one["points"] for v in (point["value"], *(point["interval"] or []))
    ]
    values += [v for one in curves.values() for point in one["law"] for v in (point["low"], point["high"])]
    sizes = [point["rows"] for one in curves.values() for point in [*one["points"], *one["law"]]]
    low, high = max(0.0, min(values)), min(1.0, max(values))
    margin = 0.05 * (high - low) or 0.01
    return lines(
        FIGURES[figure],
        {model: [(point["rows"], point["value"]) for point in one["points"]] for model, one in curves.items()},
        Axis("training rows", min(sizes) / 1.2, max(sizes) * 1.2, log=True, style="count"),
        Axis(FIGURES[figure], max(0.0, low - margin), min(1.0, high + margin)),
        bands={model: [(p["rows"], p["low"], p["high"]) for p in one["law"]] for model, one in curves.items()},
        dots=True,
        faint=[[(p["rows"], p["value"]) for p in one["law"]] for one in curves.values() if one["law"]],
    )
