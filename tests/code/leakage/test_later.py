"""Columns that equal a statistic of later rows or of labels that were not known yet are named; lagged ones are not."""

import numpy as np
import pandas as pd
import pytest

from tests.code.leakage.planted import audited
from workbench.leakage import later

ROWS, DAY_US = 20_000, 86_400_000_000


def payments() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"card": random.integers(0, 400, ROWS), "amount": np.round(random.lognormal(3, 1, ROWS), 2)})
    frame["slow"] = (np.arange(ROWS) // 500 % 3 == 0).astype(int)  # nearly always as it will be next
    frame["limit"] = frame["card"] * 1.5  # the same for all of a card: its own mean
    frame["limit_again"] = frame["limit"]
    frame["time"] = np.sort(random.integers(0, 100 * DAY_US, ROWS))
    return frame, (random.random(ROWS) < 0.05).astype(np.int64)


def column(kind: str) -> pd.Series:
    frame, label_N = payments()
    label, one = pd.Series(label_N), pd.Series(1, index=frame.index)
    cards, day = label.groupby(frame["card"]), frame["time"] // DAY_US
    made = {
        "so far, own label included": cards.cumsum,
        "before": lambda: cards.cumsum() - label,
        "label before": lambda: cards.shift(1).fillna(0),
        "next label": lambda: cards.shift(-1).fillna(0),
        "centred": lambda: cards.transform(lambda some: some.rolling(7, center=True, min_periods=1).mean()),
        "share of the day": lambda: label.groupby(day).transform("mean"),
        "count of the day": lambda: one.groupby([frame["card"], day]).transform("size"),
        "count of the day so far": lambda: one.groupby([frame["card"], day]).cumcount() + 1,
        "count of all": lambda: one.groupby(frame["card"]).transform("size"),
        "count so far": lambda: one.groupby(frame["card"]).cumcount() + 1,
        "mean of all": lambda: frame["amount"].groupby(frame["card"]).transform("mean"),
        "mean so far": lambda: frame["amount"].groupby(frame["card"]).expanding().mean().droplevel(0).sort_index(),
        "next amount": lambda: frame["amount"].groupby(frame["card"]).shift(-1).fillna(0),
        "amount before": lambda: frame["amount"].groupby(frame["card"]).shift(1).fillna(0),
        "known a week later": lambda: _known(frame, label, 7.0),
        "known half a day later": lambda: _known(frame, label, 0.5),
    }
    return made[kind]()


def _known(frame: pd.DataFrame, label: pd.Series, days: float) -> pd.Series:
    """The positives of the card that had been known for so many days, row by row."""
    found = np.zeros(ROWS)
    for rows in frame.groupby("card").indices.values():
        times, running = frame["time"].to_numpy()[rows], np.append(0, np.cumsum(label.to_numpy()[rows]))
        found[rows] = running[np.searchsorted(times, times - days * DAY_US, side="right")]
    return pd.Series(found)


def named(kind: str, delay_days: float) -> set[str]:
    frame, label_N = payments()
    table = audited(frame.assign(made=column(kind)), label_N, ("card",), delay=delay_days * DAY_US)
    return {one.column for one in later.statistics(table) if one.leak}


@pytest.mark.parametrize(
    "kind",
    [
        "so far, own label included", "next label", "centred", "share of the day", "count of the day", "count of all",
        "mean of all",
    ],
)  # fmt: skip
def test_what_looks_ahead_is_named_and_nothing_else(kind: str) -> None:
    assert named(kind, delay_days=0) == {"made"}


@pytest.mark.parametrize(
    "kind", ["before", "label before", "count of the day so far", "count so far", "mean so far", "amount before"]
)
def test_what_looks_back_is_not(kind: str) -> None:
    assert named(kind, delay_days=0) == set()


def test_the_next_value_of_a_column_is_a_note_because_a_lag_looks_the_same() -> None:
    frame, label_N = payments()
    found = list(later.statistics(audited(frame.assign(made=column("next amount")), label_N, ("card",))))
    assert [(one.column, one.leak) for one in found] == [("made", False)]


@pytest.mark.parametrize("kind", ["before", "label before"])
def test_labels_of_the_past_are_a_leak_while_they_are_not_known(kind: str) -> None:
    assert named(kind, delay_days=7) == {"made"}


@pytest.mark.parametrize(("kind", "delay_days"), [("known a week later", 7), ("known half a day later", 0.5)])
def test_labels_of_the_past_that_were_known_are_none(kind: str, delay_days: float) -> None:
    """Within half a day hardly anything changes: such a column equals the unknown one in 98 of 100 rows."""
    assert named(kind, delay_days) == set()


def test_without_a_time_nothing_is_later() -> None:
    frame, label_N = payments()
    table = audited(frame.drop(columns="time").assign(made=column("next label")), label_N, ("card",))
    assert list(later.statistics(table)) == []
