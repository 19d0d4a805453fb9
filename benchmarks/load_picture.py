"""A picture of a load: the latency that each share of the requests stayed below, and the latency over time."""

import io
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

if TYPE_CHECKING:
    from benchmarks.load import Seen

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
NINES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def svg(seen: "Seen") -> bytes:
    """The picture."""
    style = {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, (shares, times) = pyplot.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
        _shares(shares, seen)
        _times(times, seen)
        sink = io.BytesIO()
        figure.savefig(sink, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return sink.getvalue()


def _shares(axes: Axes, seen: "Seen") -> None:
    """Each further nine takes the same room: the tail is what matters."""
    for latency, colour, name in (
        (seen.latency_ms, BLUE, "since it was due"),
        (seen.latency_ms - seen.late_ms, GREY, "since it was sent"),
    ):
        ordered = np.sort(latency)
        beyond = 1 - np.arange(len(ordered)) / len(ordered)  # the share that took at least so long
        axes.plot(1 / beyond, ordered, color=colour, label=name)
    known = [share for share in NINES if (1 - share / 100) * len(seen.due_N) >= 1]
    axes.set_xscale("log")
    axes.set_xticks([1 / (1 - share / 100) for share in known], [f"{share:g} %" for share in known])
    axes.minorticks_off()
    axes.set(xlabel="share of the requests", ylabel="latency, ms", yscale="log", title="answered within")
    axes.legend(frameon=False)


def _times(axes: Axes, seen: "Seen") -> None:
    good = seen.status_N == 200
    for chosen, colour, name in ((good, BLUE, "200"), (~good, ORANGE, "any other")):
        if chosen.any():
            axes.plot(seen.due_N[chosen], seen.latency_ms[chosen], ".", color=colour, markersize=2, label=name)
    axes.set(xlabel="due at, s", yscale="log", title="over time, by status")
    axes.legend(frameon=False, markerscale=4)
