"""Pictures of how well scores rank and how honest they are: ROC, precision-recall, calibration, side by side as SVG."""

import io
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workbench.evaluation import curves as points
from workbench.evaluation.reliability import curve
from workbench.report import charts

STYLE = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
DASHES = ("-", "--", "-.")  # of the models that have the first of each colour, the second, ...
DIAGONAL = {"color": "#999999", "linewidth": 0.8, "linestyle": ":"}
Array = NDArray[Any]


def curves(label_N: Array, logits: dict[str, Array]) -> bytes:
    """One SVG with three panels; a line per model."""
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
        for place, (name, logit_N) in enumerate(logits.items()):
            look = {**_look(place), "label": name}
            axes[0].plot(*_apart(points.roc(label_N, logit_N)), linewidth=1.2, **look)
            axes[1].plot(*_apart(points.precision_recall(label_N, logit_N)), linewidth=1.2, **look)
            dots = _apart(points.calibration(label_N, logit_N))
            axes[2].loglog(*dots, marker="o", markersize=3, linewidth=1, **look)
        _named(axes)
        return _svg(figure)


def reliability(label_N: Array, probabilities: dict[str, Array]) -> bytes:
    """One SVG: the observed share of bad against the predicted one, with 95 % intervals; a line per model."""
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(4.6, 3.8), layout="constrained")
        for place, (name, probability_N) in enumerate(probabilities.items()):
            _reliability(axes, curve(label_N, probability_N), {**_look(place), "label": name})
        axes.loglog([1e-4, 1], [1e-4, 1], **DIAGONAL)
        axes.set(title="Reliability", xlabel="predicted share of bad", ylabel="observed share, 95 %")
        axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def _look(place: int) -> dict[str, Any]:
    """Colour and dashes of a model by its place: no two of the first 21 look the same."""
    turn, colour = divmod(place, len(charts.COLOURS))
    return {"color": charts.COLOURS[colour], "linestyle": DASHES[turn % len(DASHES)]}


def _apart(pairs: points.Points) -> tuple[Array, Array]:
    """The points' x and y."""
    x, y = np.array(pairs).reshape(-1, 2).T
    return x, y


def _named(axes: Any) -> None:
    """The titles of the panels of `curves`, and a legend."""
    axes[0].set(title="ROC", xlabel="share of good flagged", ylabel="share of bad flagged")
    axes[1].set(title="Precision and recall", xlabel="recall", ylabel="precision")
    axes[1].legend(frameon=False, fontsize=8)
    axes[2].loglog([1e-4, 1], [1e-4, 1], **DIAGONAL)
    axes[2].set(title="Calibration", xlabel="predicted share of bad", ylabel="observed share")


def _reliability(axes: Axes, groups: dict[str, list[float]], look: dict[str, Any]) -> None:
    seen = {key: np.array(values) for key, values in groups.items()}
    shown = (seen["observed"] > 0) & (seen["predicted"] > 0)
    predicted, observed, low, high = (seen[key][shown] for key in ("predicted", "observed", "low", "high"))
    ends = (observed - low, high - observed)
    axes.errorbar(predicted, observed, ends, marker="o", markersize=3, linewidth=1, elinewidth=0.6, **look)


def _svg(figure: Figure) -> bytes:
    """The picture, which is closed then."""
    sink = io.BytesIO()
    figure.savefig(sink, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return sink.getvalue()
