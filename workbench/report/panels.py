"""The panels that cards and comparisons share: how models rank, how honest they are, what their errors cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from workbench.evaluation import costs, curves
from workbench.evaluation.scored import Scored
from workbench.report.charts import COLOURS, Axis, Points, lines

DIAGONAL = [(0.0, 0.0), (1.0, 1.0)]


def legend(names: Sequence[str]) -> list[dict[str, str]]:
    """A name and colour for each line of the panels."""
    return [{"name": name, "colour": COLOURS[index % len(COLOURS)]} for index, name in enumerate(names)]


def ranking(shown: Mapping[str, tuple[Scored, str]]) -> list[Markup]:
    """ROC, precision-recall and calibration; a line for each (rows, model)."""
    of = {name: (rows.label_N, rows.scores[model]) for name, (rows, model) in shown.items()}
    honest = {name: curves.calibration(*one) for name, one in of.items()}
    low = min((p for points in honest.values() for point in points for p in point), default=1e-3)
    axes = [Axis(label, min(low, 0.1), 1, log=True) for label in ("predicted share of bad", "observed share")]
    return [
        lines(
            "ROC",
            {name: curves.roc(*one) for name, one in of.items()},
            Axis("share of good flagged", 0, 1),
            Axis("share of bad flagged", 0, 1),
            faint=[DIAGONAL],
        ),
        lines(
            "Precision and recall",
            {name: curves.precision_recall(*one) for name, one in of.items()},
            Axis("recall", 0, 1),
            Axis("precision", 0, 1),
        ),
        lines("Calibration", honest, axes[0], axes[1], dots=True, faint=[[(axes[0].low, axes[0].low), (1, 1)]]),
    ]


def normalised(by_name: Mapping[str, Sequence[float]]) -> Markup:
    """Drummond and Holte's cost curves."""
    grid = costs.GRID_C.tolist()
    top = max(max(values) for values in by_name.values()) * 1.1 or 1.0
    top = min(top, 0.5)
    sides = [[(share, share) for share in grid], [(share, 1 - share) for share in grid]]
    return lines(
        "Expected cost by ratio of costs",
        {name: list(zip(grid, values, strict=True)) for name, values in by_name.items()},
        Axis("share of the cost that missed positives stand for", 0, 1),
        Axis("normalised expected cost", 0, top),
        faint=[[(x, y) for x, y in side if y <= min(top, x, 1 - x) + 1e-9] for side in sides],
    )


def money(by_name: Mapping[str, dict[str, Any]], at: dict[str, Any]) -> Markup:
    """What flagging more and more rows costs, at one price of a false alarm."""
    series = {name: list(zip(one["share"][1:], one["cost"][1:], strict=True)) for name, one in by_name.items()}
    none = at["flag_none"]
    smallest = min(points[0][0] for points in series.values())
    return lines(
        f"Cost, a false alarm at {at['false_positive_minor'] / 100:,.2f}",
        {name: _until(points, 1.5 * none) for name, points in series.items()},
        Axis("share of rows flagged", max(smallest, 1e-5), 1, log=True),
        Axis("cost of all scored rows", 0, max(1.5 * none, 1), style="money"),
        faint=[[(smallest, none), (1.0, none)]],
    )


def _until(points: Points, top: float) -> list[tuple[float, float]]:
    """The points up to a height, and the first beyond it."""
    end = next((i + 1 for i, (_, y) in enumerate(points) if y > top and i), len(points))
    return list(points[:end])
