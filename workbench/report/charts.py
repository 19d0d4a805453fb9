"""Small line charts as SVG: one panel each, so that a page puts as many side by side as its window has room for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#555555", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
WIDTH, HEIGHT = 340.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 30.0, 40.0
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """What an axis shows and how."""

    label: str
    low: float
    high: float
    log: bool = False
    style: str = "g"  # g (plain number) | money (minor units) | count

    def at(self, value: float) -> float:
        """Where a value lies, from 0 to 1; values beyond the ends lie on them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """A few round numbers between the ends."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            parts = (1, 2, 5) if math.log10(self.high / self.low) < 2 else (1,)
            every = [part * 10.0**power for power in range(first, last + 1) for part in parts]
            seen = [tick for tick in every if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]
            return seen[:: max(1, len(seen) // 4)]
        step = _round_step((self.high - self.low) / 4)
        indices = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [round(index * step, 10) for index in indices]

    def shown(self, value: float) -> str:
        """A tick's text."""
        if self.style == "count":
            return f"{value:,.0f}"
        return short_money(value) if self.style == "money" else f"{value:g}"


def lines(
    title: str,
    series: Mapping[str, Points],
    x: Axis,
    y: Axis,
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
    dots: bool = False,
    faint: Sequence[Points] = (),
) -> Markup:
    """One panel: a line for each series in the order of `COLOURS`, `bands` (x, low, high) in their colours below them.

    `faint` are lines that the others are seen against: chance, a perfect calibration, doing nothing.
    """
    parts = [_frame(title, x, y)]
    parts += [_path(one, x, y, "#9aa4b0", 'stroke-dasharray="3 3"') for one in faint]
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        if bands and name in bands:
            parts.append(_band(bands[name], x, y, colour))
        parts.append(_path(points, x, y, colour, 'stroke-width="1.6"'))
        parts += [_dot(point, x, y, colour) for point in points if dots]
    head = f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}" class="chart">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704 - texts are escaped, all else is numbers


def interval(low: float, value: float, high: float, axis: Axis, reference: float | None = None) -> Markup:
    """A value with its interval as a dot on a line, beside a reference, for a table's cell."""
    width = 150.0
    a, b, c = (4 + (width - 8) * axis.at(one) for one in (low, value, high))
    mark = ""
    if reference is not None:
        at = 4 + (width - 8) * axis.at(reference)
        mark = f'<path d="M{at:.1f} 0V16" stroke="#D55E00" stroke-dasharray="2 2"/>'
    return Markup(  # noqa: S704 - numbers alone
        f'<svg viewBox="0 0 {width:g} 16" width="{width:g}" height="16" class="interval" role="img"'
        f' aria-label="{low:.3f} to {high:.3f}">{mark}<path d="M{a:.1f} 8H{c:.1f}" stroke="#0072B2" stroke-width="2"/>'
        f'<circle cx="{b:.1f}" cy="8" r="3.5" fill="#0072B2"/></svg>'
    )


def money(minor: float) -> str:
    """Minor units as a person writes them: 1234567 is 12,345.67."""
    return f"{minor / 100:,.2f}"


def short_money(minor: float) -> str:
    """The same for a tick: 12k, 1.5M."""
    value = minor / 100
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _frame(title: str, x: Axis, y: Axis) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<text x="{LEFT:g}" y="16" class="title">{escape(title)}</text>']
    for tick in y.ticks():
        at = _y(tick, y)
        parts.append(f'<path d="M{LEFT:g} {at:.1f}H{right:g}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6:g}" y="{at + 3.5:.1f}" text-anchor="end">{escape(y.shown(tick))}</text>')
    for tick in x.ticks():
        at = _x(tick, x)
        parts.append(f'<path d="M{at:.1f} {bottom:g}v4" class="axis"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 15:g}" text-anchor="middle">{escape(x.shown(tick))}</text>')
    parts.append(f'<path d="M{LEFT:g} {bottom:g}H{right:g}" class="axis"/>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 6:g}" text-anchor="middle" class="label">{escape(x.label)}</text>')
    height = (TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(12 {height:g}) rotate(-90)" text-anchor="middle" class="label">'
        f"{escape(y.label)}</text>"
    )
    return "".join(parts)


def _x(value: float, axis: Axis) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * axis.at(value)


def _y(value: float, axis: Axis) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * axis.at(value)


def _path(points: Points, x: Axis, y: Axis, colour: str, more: str) -> str:
    if not points:
        return ""
    steps = " ".join(f"{_x(a, x):.1f} {_y(b, y):.1f}" for a, b in points)
    return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-linejoin="round" {more}/>'


def _band(points: Sequence[tuple[float, float, float]], x: Axis, y: Axis, colour: str) -> str:
    there = [f"{_x(a, x):.1f} {_y(high, y):.1f}" for a, _, high in points]
    back = [f"{_x(a, x):.1f} {_y(low, y):.1f}" for a, low, _ in reversed(points)]
    return f'<path d="M{" ".join(there + back)}Z" fill="{colour}" fill-opacity=".14" stroke="none"/>'


def _dot(point: tuple[float, float], x: Axis, y: Axis, colour: str) -> str:
    return f'<circle cx="{_x(point[0], x):.1f}" cy="{_y(point[1], y):.1f}" r="2.6" fill="{colour}"/>'


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)
