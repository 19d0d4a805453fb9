"""Pictures for notebooks: each is an SVG that a cell shows, in the colours of the reports."""

import datetime as dt
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from workbench.report.charts import COLOURS
from workbench.report.judged import FIGURES

BLUE, ORANGE = COLOURS[:2]
PALE = "#b9c4d0"  # what the rest is seen against
STYLE = {
    "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#e3e7ec", "legend.frameon": False, "legend.fontsize": 8,
    "axes.prop_cycle": cycler(color=COLOURS),
}  # fmt: skip
WIDTH, HEIGHT = 3.1, 2.6  # of one panel, in inches
Draw = Callable[[Axes], Any]


@dataclass(frozen=True)
class Picture:
    """An SVG, as a notebook shows it."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg[self.svg.index("<svg") :].replace("<svg", '<svg style="max-width: 100%; height: auto"', 1)


def panels(*draws: Draw, columns: int = 3, height: float = HEIGHT, width: float = WIDTH) -> Picture:
    """One picture of several panels, each drawn by its function."""
    import matplotlib

    across = min(columns, len(draws))
    down = -(-len(draws) // across)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width * across, height * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for draw, one in zip(draws, axes, strict=False):
            draw(one)
        for one in axes[len(draws) :]:
            one.set_visible(False)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata={"Date": None})
    return Picture(sink.getvalue())


def spread(title: str, unit: str, groups: Mapping[str, Sequence[float]], log: bool = False, rows: str = "rows") -> Draw:
    """How numbers lie, a step line for each group, each as shares of its own rows."""

    def draw(axes: Axes) -> None:
        known = {name: np.asarray(values, np.float64) for name, values in groups.items()}
        every = np.concatenate([one[np.isfinite(one) & ((one > 0) | (not log))] for one in known.values()])
        low, high = np.percentile(every, [0.1, 99.9])
        edges = np.geomspace(low, high, 41) if log else np.linspace(low, high, 41)
        for name, values in known.items():
            weights = np.full(len(values), 1 / max(len(values), 1))
            axes.hist(values, edges.tolist(), weights=weights, histtype="step", linewidth=1.4, label=name)
        axes.set(title=title, xlabel=unit, ylabel=f"share of {rows}", xscale="log" if log else "linear")
        if len(known) > 1:
            axes.legend()

    return draw


def counts(title: str, axis: str, of: Mapping[Any, float], unit: str = "rows", colour: str = BLUE) -> Draw:
    """A bar for each name, number or day, in the order given."""

    def draw(axes: Axes) -> None:
        names = [f"{one:%-d %b}" if isinstance(one, dt.date) else str(one) for one in of]
        axes.bar(range(len(of)), list(of.values()), color=colour, width=0.8)
        axes.set(title=title, xlabel=axis, ylabel=unit)
        axes.grid(axis="x", visible=False)
        shown = list(range(0, len(of), max(1, -(-len(of) // 5))))
        axes.set_xticks(shown, [names[place] for place in shown])

    return draw


def ranked(title: str, axis: str, of: Mapping[str, float], most: int = 15) -> Draw:
    """Bars lying on their side, the greatest first; what lowers is orange."""

    def draw(axes: Axes) -> None:
        kept = sorted(of.items(), key=lambda one: -abs(one[1]))[:most][::-1]
        values = [value for _, value in kept]
        axes.barh([name for name, _ in kept], values, color=[BLUE if v >= 0 else ORANGE for v in values], height=0.7)
        axes.axvline(0, color="#8b95a1", linewidth=0.8)
        axes.set(title=title, xlabel=axis)
        axes.grid(axis="y", visible=False)

    return draw


def steps(seconds: Mapping[str, float]) -> Draw:
    """Which step of a pipeline took how long, the first at the top."""

    def draw(axes: Axes) -> None:
        ends = np.cumsum(list(seconds.values()))
        starts = ends - list(seconds.values())
        axes.barh(list(seconds), list(seconds.values()), left=starts, color=BLUE, height=0.7)
        axes.invert_yaxis()
        axes.set(title=f"The steps of {ends[-1]:.0f} s", xlabel="seconds since the start")
        axes.grid(axis="y", visible=False)

    return draw


def learning(history: pa.Table, metric: str = "average_precision") -> Draw:
    """A metric of a run's history at every step, a line for each family's fit, in percent of its steps."""

    def draw(axes: Axes) -> None:
        rows = [one for one in history.to_pylist() if one["metric"] == metric]
        for place, family in enumerate(dict.fromkeys(one["family"] for one in rows)):
            fits = dict.fromkeys(one["fit"] for one in rows if one["family"] == family)
            for fit in fits:
                own = [one for one in rows if (one["family"], one["fit"]) == (family, fit)]
                share = [100 * one["step"] / own[-1]["step"] for one in own]
                label = family if fit == next(iter(fits)) else None
                axes.plot(share, [one["value"] for one in own], color=COLOURS[place], linewidth=1.4, label=label)
        axes.set(title="While it learnt", xlabel="% of the steps", ylabel=FIGURES.get(metric, metric))
        axes.legend()

    return draw


def intervals(title: str, about: Mapping[str, Any], figure: str) -> Draw:
    """A dot with its 95 % interval for each model of a run's card, or for each side of a comparison."""
    values = {name: one[figure] for name, one in about["figures"].items()}
    return _dots(title, figure, values, {name: about["intervals"][name][figure] for name in values})


def promised(findings: Mapping[str, Any]) -> Draw:
    """The average precision that the evaluation promised, and the live decisions' own, with 95 % intervals."""
    live, told = findings["performance"], findings["promised"]["average_precision"]
    values = {"promised": told, "live": live["average_precision"]}
    ends = {"promised": findings["interval"], "live": live["interval"]}
    return _dots("As good as promised?", "average_precision", values, ends)


def _dots(title: str, figure: str, values: Mapping[str, float], ends: Mapping[str, Sequence[float]]) -> Draw:
    def draw(axes: Axes) -> None:
        for place, (name, value) in enumerate(values.items()):
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(ends[name], [place, place], color=colour, linewidth=2)
            axes.plot([value], [place], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(values)), list(values))
        axes.set(title=title, xlabel=f"{FIGURES[figure]}, 95 %", ylim=(len(values) - 0.5, -0.5))
        axes.grid(axis="y", visible=False)

    return draw


def windows(found: Mapping[str, Any]) -> Draw:
    """One feature's bins in the reference and in the current window, as monitoring counts them."""

    def draw(axes: Axes) -> None:
        place = np.arange(len(found["reference"]))
        axes.bar(place, found["reference"], color=PALE, width=0.9, label="reference")
        axes.step(np.append(place - 0.5, place[-1] + 0.5), [*found["current"], found["current"][-1]], where="post",
                  color=ORANGE, linewidth=1.6, label="now")  # fmt: skip
        alarm = "drifted" if found["drifted"] else "no alarm"
        axes.set(title=f"{found['name']}\nPSI {found['psi']:.3f}, {alarm}", ylabel="share of rows", xlabel="up to")
        axes.set_xticks(place, [*map(_short, found["edges"]), "more"], rotation=45, ha="right", fontsize=7)
        axes.grid(axis="x", visible=False)
        axes.legend()

    return draw


def curve(title: str, axis: str, x: Sequence[float], unit: str, y: Sequence[float], mark: float, limit: float) -> Draw:
    """What a number does when another one changes, with where it stands and a limit."""

    def draw(axes: Axes) -> None:
        axes.plot(x, y, color=BLUE, linewidth=1.6)
        axes.axhline(limit, color=ORANGE, linewidth=1, linestyle="--", label="flagged from here on")
        axes.axvline(mark, color="#8b95a1", linewidth=1, linestyle=":", label="as it was")
        axes.set(title=title, xlabel=axis, ylabel=unit, xscale="log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend()

    return draw


def stacked(title: str, axis: str, start: float, parts: Mapping[str, float], most: int = 10) -> Draw:
    """How a sum comes about: from `start`, part by part (the greatest ones, then the rest), to the total."""

    def draw(axes: Axes) -> None:
        shown = _largest(parts, most)
        lefts = start + np.cumsum([0.0, *shown.values()])
        for place, (left, value) in enumerate(zip(lefts[:-1], shown.values(), strict=True)):
            axes.barh(place, value, left=left, color=ORANGE if value >= 0 else BLUE, height=0.7)
            axes.plot([left + value] * 2, [place, place + 1], color="#8b95a1", linewidth=0.7)
        axes.axvline(start, color="#8b95a1", linewidth=0.8, linestyle=":")
        axes.plot([lefts[-1]], [len(shown)], "D", color="#1d2530", markersize=5)
        axes.set_yticks(range(len(shown) + 1), [*shown, "all together"])
        axes.set(title=title, xlabel=f"{axis} (orange raises, blue lowers)", ylim=(len(shown) + 0.6, -0.6))
        axes.grid(axis="y", visible=False)

    return draw


def _largest(parts: Mapping[str, float], most: int) -> dict[str, float]:
    order = sorted(parts, key=lambda name: -abs(parts[name]))
    rest = {"all others": sum(parts[name] for name in order[most:])} if order[most:] else {}
    return {name: parts[name] for name in order[:most]} | rest


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shares(values: Iterable[Any]) -> dict[Any, float]:
    """Which share of the values each one is, in their order."""
    found, number = np.unique(np.asarray(list(values)), return_counts=True)
    return dict(zip(found.tolist(), (number / number.sum()).tolist(), strict=True))
