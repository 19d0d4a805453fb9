"""The report says what was asked of a table, and why the rest was not."""

import numpy as np
import pandas as pd

from tests.code.leakage.planted import audited
from workbench.leakage import questions

FRAME = pd.DataFrame({"value": np.arange(40.0), "card": np.arange(40) % 4})
LABEL = np.arange(40) % 2


def skipped(frame: pd.DataFrame, **roles: object) -> set[str]:
    asked = questions.asked(audited(frame, LABEL, **roles), 40, "9 events")  # type: ignore[arg-type]
    return {one["question"] for one in asked if one["skipped"]}


def test_what_needs_time_parts_or_entities_is_asked_where_they_are() -> None:
    bare, full = (
        skipped(FRAME),
        skipped(FRAME.assign(split="a", time=np.arange(40)), entities=("card",), split="random"),
    )
    assert len(bare) == 5
    assert full == set()


def test_ready_made_features_have_no_future_to_rewrite() -> None:
    first = questions.asked(audited(FRAME, LABEL), 40, "")[0]
    assert first["skipped"] == "not asked: the features came ready-made"
    assert questions.asked(audited(FRAME, LABEL), 40, "9 events")[0]["skipped"] == ""


def test_tests_say_their_sample_and_comparisons_all_rows() -> None:
    on = {one["question"]: one["on"] for one in questions.asked(audited(FRAME, LABEL), 30, "")}
    assert on["Do rows occur twice?"] == "all 40 rows"
    assert on["Do rows that share a value of a column share their label?"] == "30 rows"
