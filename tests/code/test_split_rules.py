"""Days, shares and folds leave rows to train on, and what judges comes after what selects."""

import re

import pytest

from workbench.errors import ConfigError
from workbench.validation import validate
from workloads import door


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.0, 0.5), (0.5, 0.0), (0.9, -0.2)])
def test_a_stratified_split_leaves_rows_to_train_on(shares: tuple[float, float]) -> None:
    cfg = door.composed(["experiment=credit"])
    cfg.data.split.validation_share, cfg.data.split.test_share = shares
    with pytest.raises(ConfigError, match="leave no rows to select, test or train on"):
        validate(cfg)


@pytest.mark.parametrize("day", ["20180725", "2018-W30-3", "2018W303", "tomorrow"])
@pytest.mark.parametrize(
    "key", ["data.split.train_start", "data.split.select_start", "replay.start", "data.source.benchmark.start"]
)
def test_days_have_the_one_form_whose_order_as_text_is_that_of_time(key: str, day: str) -> None:
    with pytest.raises(ConfigError, match=rf"{re.escape(key)}={day} is not a date\. Use the form 2018-07-25"):
        door.composed([f'{key}="{day}"'])


@pytest.mark.parametrize("starts", ["[]", "[soon]", '["2018-07-25","2018-07-25"]', '["20180725"]', '["2018-W30-3"]'])
def test_folds_start_on_dates_each_once(starts: str) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.fold_starts=.* at least one and each once"):
        door.composed(["experiment=published", f"evaluate.fold_starts={starts}"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.split.select_start=2018-07-20"], r"data\.split\.select_start 2018-07-20 and data\.split\.train_start"),
        (["experiment=published", 'evaluate.select_starts=["2018-07-20"]'], r"evaluate\.select_starts 2018-07-20 and"),
    ],
)
def test_rows_that_select_are_not_scored_in_days_that_judge(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"{said} .* at least 7 days before the first judging one"):
        door.composed(overrides)


def test_a_place_of_the_test_part_is_one_that_its_share_leaves() -> None:
    five = ["experiment=credit", "data.split.test_share=0.2"]
    assert door.composed([*five, "data.split.test_place=4"]).data.split.test_place == 4
    with pytest.raises(ConfigError, match=r"test_place=5 lies beyond .* Use a number from 0 to 4"):
        door.composed([*five, "data.split.test_place=5"])
