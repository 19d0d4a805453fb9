"""Steps come from the columns' names, and what is missing is told."""

import numpy as np
import pytest

from workbench.errors import ConfigError
from workbench.models.steps import Layout, steps_of

NAMES = [
    "amount",
    "risk",
    "count",
    *(f"{one}_{back}_back" for back in (1, 2) for one in ("count", "amount", "elapsed")),
]


def test_steps_run_from_the_oldest_to_the_row_itself_whose_time_is_now() -> None:
    layout = Layout.of(NAMES)
    assert (layout.own, layout.bases) == (("amount", "risk", "count"), (0, 2))
    x_NF = np.arange(1, len(NAMES) + 1, dtype=np.float32)[None]
    named = dict(zip(NAMES, x_NF[0].tolist(), strict=True))
    steps = steps_of(x_NF, layout.places_TS)[0].tolist()
    assert steps == [
        [named["amount_2_back"], named["count_2_back"], named["elapsed_2_back"]],
        [named["amount_1_back"], named["count_1_back"], named["elapsed_1_back"]],
        [named["amount"], named["count"], 0],
    ]


def test_a_step_is_encoded_as_the_rows_own_features_are() -> None:
    layout = Layout.of(NAMES)
    assert layout.encoded == ["amount", "risk", "count", "elapsed_1_back"]
    assert [layout.encoded[one] for one in layout.step_inputs] == ["amount", "count", "elapsed_1_back"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["amount", "risk"], "show no earlier event.*view of kind previous, or leave lstm"),
        ([one for one in NAMES if one != "amount_2_back"], "amount_2_back is missing"),
        ([one for one in NAMES if one != "count_1_back"], "count_1_back is missing"),
        ([one for one in NAMES if "elapsed" not in one], "elapsed_1_back, elapsed_2_back is missing"),
        ([*NAMES, "hour_1_back", "hour_2_back"], "hour is shown of earlier events and not of the row itself"),
    ],
)
def test_a_sequence_that_is_not_whole_is_refused_with_the_columns_that_it_lacks(names: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Layout.of(names)
