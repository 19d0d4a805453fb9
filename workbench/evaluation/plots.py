"""Pictures of how well scores rank and how honest they are: ROC, precision-recall, calibration, side by side as SVG."""

import io
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from workbench.evaluation.reliability import curve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#555555", "#CC79A7")  # Okabe and Ito: told apart by everybody
POINTS = 400  # of a curve; more cannot be seen
Array = NDArray[Any]


def curves(label_N: Array, logits: dict[str, Array]) -> bytes:
    """One SVG with three panels; a line per model."""
    style = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
        for colour, (name, logit_N) in zip(COLOURS, logits.items(), strict=False):
            _roc(axes[0], label_N, logit_N, name, colour)
            _precision_recall(axes[1], label_N, logit_N, name, colour)
            _calibration(axes[2], label_N, 1 / (1 + np.exp(-logit_N.astype(float))), name, colour)
        axes[1].legend(frameon=False, fontsize=8)
        sink = io.BytesIO()
        figure.savefig(sink, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return sink.getvalue()


def reliability(label_N: Array, probabilities: dict[str, Array]) -> bytes:
    """One SVG: the observed share of bad against the predicted one, with 95 % intervals; a line per model."""
    style = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(4.6, 3.8), layout="constrained")
        for colour, (name, probability_N) in zip(COLOURS, probabilities.items(), strict=False):
            _reliability(axes, curve(label_N, probability_N), name, colour)
        axes.loglog([1e-4, 1], [1e-4, 1], color="#999999", linewidth=0.8, linestyle=":")
        axes.set(title="Reliability", xlabel="predicted share of bad", ylabel="observed share, 95 %")
        axes.legend(frameon=False, fontsize=8)
        sink = io.BytesIO()
        figure.savefig(sink, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return sink.getvalue()


def _reliability(axes: Axes, groups: dict[str, list[float]], name: str, colour: str) -> None:
    seen = {key: np.array(values) for key, values in groups.items()}
    shown = (seen["observed"] > 0) & (seen["predicted"] > 0)
    predicted, observed, low, high = (seen[key][shown] for key in ("predicted", "observed", "low", "high"))
    axes.errorbar(
        predicted, observed, (observed - low, high - observed), fmt="o-", color=colour, label=name, markersize=3,
        linewidth=1, elinewidth=0.6,
    )  # fmt: skip


def _thin(x: Array, y: Array) -> tuple[Array, Array]:
    """Points that lie evenly along the curve, not along its rows: most rows are where nothing happens."""
    length = np.cumsum(np.hypot(np.diff(x, prepend=x[0]), np.diff(y, prepend=y[0])))
    chosen = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
    return x[chosen], y[chosen]


def _roc(axes: Axes, label_N: Array, score_N: Array, name: str, colour: str) -> None:
    false, true, _ = roc_curve(label_N, score_N)
    axes.plot(*_thin(false, true), color=colour, label=name, linewidth=1.2)
    axes.set(title="ROC", xlabel="share of good flagged", ylabel="share of bad flagged")


def _precision_recall(axes: Axes, label_N: Array, score_N: Array, name: str, colour: str) -> None:
    precision, recall, _ = precision_recall_curve(label_N, score_N)
    axes.plot(*_thin(recall, precision), color=colour, label=name, linewidth=1.2)
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")


def _calibration(axes: Axes, label_N: Array, probability_N: Array, name: str, colour: str) -> None:
    """Observed against predicted share among the upper half of the scores, in ever smaller groups to its top."""
    edges = np.quantile(probability_N, [*np.linspace(0.5, 0.95, 6), 0.99, 0.995, 1.0])
    group = np.searchsorted(edges, probability_N)
    means = [(probability_N[group == g].mean(), label_N[group == g].mean()) for g in np.unique(group)[1:]]
    shown = np.array([(p, y) for p, y in means if p > 0 and y > 0]).reshape(-1, 2)
    axes.loglog(shown[:, 0], shown[:, 1], "o-", color=colour, label=name, markersize=3, linewidth=1)
    axes.loglog([1e-4, 1], [1e-4, 1], color="#999999", linewidth=0.8, linestyle=":")
    axes.set(title="Calibration", xlabel="predicted share of bad", ylabel="observed share")
