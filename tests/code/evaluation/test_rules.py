"""A judgement that cannot be made is refused at the door, with its key and remedy."""

import re

import pytest

from workbench.errors import ConfigError
from workbench.validation import check_learning
from workloads import door


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("evaluate.protocol=kfold", "evaluate.protocol=kfold would train on the future"),
        ("experiment=credit evaluate.protocol=kfold evaluate.folds=2", "evaluate.folds=2 must be at least 3"),
        ("experiment=credit evaluate.protocol=kfold evaluate.fold=5", "evaluate.fold=5 must be from 0 to 4"),
        ("experiment=credit evaluate.protocol=kfold data.split.folds=4", "data.split.folds=4 deals the rows that"),
        ("experiment=credit evaluate.train_share=2", "evaluate.train_share=2 asks for more than all rows"),
        ("experiment=credit evaluate.protocol=prequential", "evaluate.protocol=prequential needs data.split.kind=time"),
        ("evaluate.train_share=0", "evaluate.train_share=0"),
        ("evaluate.slices.hours=5", "evaluate.slices.hours=5 is unknown"),
        ("evaluate.slices.age_days=[30,7]", "evaluate.slices.age_days=[30.0, 7.0] must be greater than 0 and ascend"),
        ("evaluate.learning_curve.shares=[0,1]", "evaluate.learning_curve.shares=[0.0, 1.0] must be greater"),
        ("evaluate.costs.false_positive_minor=[-1]", "evaluate.costs.false_positive_minor=[-1] must be at least 0"),
        ("evaluate.resample=terminals", "evaluate.resample=terminals is unknown. Use one of: customers, rows"),
    ],
)
def test_what_no_judgement_can_be_made_of_is_refused(overrides: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        door.composed(overrides.split())


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluate.slices.amount=price", "evaluate.slices.amount=price is no column of data.columns"),
        (
            "evaluate.slices.amount=event_time",
            "evaluate.slices.amount=event_time is of type timestamp; an amount is of",
        ),
        (
            "experiment=credit evaluate.slices.amount=term",
            "evaluate.slices.amount=term is of type string; an amount is",
        ),
        ("data.split.group=merchant", "data.split.group=merchant is none of data.entities"),
    ],
)
def test_a_column_that_the_data_set_does_not_have_is_refused_before_any_work(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        check_learning(door.composed(override.split()))


@pytest.mark.parametrize("column", ["funded_amnt", "int_rate"])
def test_an_amount_may_be_any_number(column: str) -> None:
    check_learning(door.composed(["experiment=credit", f"evaluate.slices.amount={column}"]))


def test_folds_of_dealt_data_and_groups_of_days_are_accepted() -> None:
    check_learning(door.composed(["experiment=credit", "evaluate.protocol=kfold", "evaluate.fold=4"]))
    check_learning(door.composed(["data.split.group=customer_id"]))
