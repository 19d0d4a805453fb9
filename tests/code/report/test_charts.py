"""A panel shows its points where they belong, with round ticks, and lets no text become code."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, interval, lines, money, short_money


def test_the_ends_of_the_axes_are_the_corners_of_the_panel() -> None:
    drawn = lines("t", {"a": [(0, 0), (2, 5)]}, Axis("x", 0, 2), Axis("y", 0, 5))
    assert f"M{LEFT:.1f} {HEIGHT - BOTTOM:.1f} {WIDTH - RIGHT:.1f} {TOP:.1f}" in drawn


def test_a_logarithmic_axis_has_powers_of_ten_at_even_distances() -> None:
    axis = Axis("x", 0.01, 100, log=True)
    assert axis.ticks() == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert [axis.at(tick) for tick in axis.ticks()] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_logarithmic_axis_of_little_more_than_a_decade_has_ticks_between_the_powers() -> None:
    axis = Axis("rows", 8_000, 130_000, log=True, style="count")
    assert [axis.shown(tick) for tick in axis.ticks()] == ["10,000", "20,000", "50,000", "100,000"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_between_the_ends(low: float, width: float) -> None:
    axis = Axis("x", low, low + width)
    assert 1 <= len(axis.ticks()) <= 6
    assert all(low - 1e-6 * width - 1e-6 <= tick <= low + width * (1 + 1e-6) + 1e-6 for tick in axis.ticks())


def test_names_and_titles_stay_texts_and_the_panel_is_one_that_any_reader_can_read() -> None:
    drawn = lines(
        "<b>&", {"<i>": [(0, 1)]}, Axis("<x>", 0, 1), Axis('"y"', 0, 1), dots=True, bands={"<i>": [(0, 0, 1)]}
    )
    picture = ElementTree.fromstring(drawn)
    texts = ["".join(one.itertext()) for one in picture.iter("text")]
    assert {"<b>&", "<x>", '"y"'} <= set(texts)


def test_an_interval_lies_between_its_ends() -> None:
    picture = ElementTree.fromstring(interval(0.25, 0.5, 0.75, Axis("", 0, 1), 0.6))
    assert [one.get("d") for one in picture.iter("path")] == ["M89.2 0V16", "M39.5 8H110.5"]
    assert [one.get("cx") for one in picture.iter("circle")] == ["75.0"]


def test_money_is_written_as_a_person_does() -> None:
    assert (money(1_234_567), money(-5)) == ("12,345.67", "-0.05")
    assert [short_money(one) for one in (50, 250_000, 150_000_000)] == ["0.5", "2.5k", "1.5M"]
