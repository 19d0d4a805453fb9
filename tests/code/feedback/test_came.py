"""A state had been given its own history's events by their numbers, others' if they were there when it began."""

import pyarrow as pa

from workbench.feedback.came import Came
from workbench.feedback.prediction_log import TIME


def log(*rows: tuple[str, str | None, int]) -> pa.Table:
    """A log of (id, history, when)."""
    ids, histories, times = zip(*rows, strict=True)
    when = pa.array(times, pa.int64())
    return pa.table({"id": ids, "history": histories, "as_of": when, "received_at": when.cast(TIME)})


ROWS = log(("a", "mine", 1), ("b", "other", 2), ("c", None, 3), ("d", "mine", 4), ("b", "mine", 5), ("e", "other", 6))


def test_events_of_other_histories_are_there_from_the_next_spell_on() -> None:
    came = Came.of(ROWS, "mine")
    assert came.spell_of(ROWS).tolist() == [0, 1, 1, 2, 2, 3]
    seen = {spell: sorted(came.until(spell)["id"].to_pylist()) for spell in (0, 2, 4)}
    assert seen == {0: ["a", "d"], 2: ["a", "b", "c", "d"], 4: ["a", "b", "c", "d", "e"]}


def test_where_all_began_with_one_history_numbers_alone_decide() -> None:
    came = Came.of(ROWS, "none of them")
    assert came.spell_of(ROWS).tolist() == [0] * 6
    assert Came.of(ROWS.filter(pa.array([True, False, False, True, True, False])), "mine").until(0).num_rows == 3
