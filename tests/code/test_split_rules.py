"""Days, shares and folds leave rows to train on, and what judges comes after what selects."""

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


@pytest.mark.parametrize("starts", ["[]", "[soon]", '["2018-07-25","2018-07-25"]'])
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
