"""Leaks of many kinds, as somebody once built each, to plant in a table. None of them is a copy of the tests' own.

A plant takes the columns, the label and a source of chance, and returns the table with the leak and its column's name.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.leak_case import Case, Ints

Plant = Callable[[pd.DataFrame, Ints, np.random.Generator], Case]
DAY_US = 86_400_000_000
COLUMN = "planted"


def _with(frame: pd.DataFrame, label_N: Ints, value: object, **roles: object) -> Case:
    return Case(frame.assign(**{COLUMN: value}), label_N, roles, COLUMN)


def _amount(frame: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    return pd.Series(np.round(random.gamma(2, 900, len(frame)), 2))


def inverted(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The other class as 1, wrong in two of a thousand rows."""
    return _with(frame, label_N, np.where(random.random(len(frame)) < 0.002, label_N, 1 - label_N).astype(float))


def outcome_words(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """Several words for each class."""
    bad, good = random.choice(["charged off", "late 120"], len(frame)), random.choice(["current", "paid"], len(frame))
    return _with(frame, label_N, np.where(label_N == 1, bad, good))


def closing_date(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """A date that four fifths of the bad rows have, and no other."""
    days = pd.Timestamp("2021-03-01") + pd.to_timedelta(random.integers(0, 400, len(frame)), "D")
    return _with(frame, label_N, pd.Series(days).where((label_N == 1) & (random.random(len(frame)) < 0.8)))


def recovered_share(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """A share that was got back, of seven tenths of the bad rows; zero elsewhere."""
    some = (label_N == 1) & (random.random(len(frame)) < 0.7)
    return _with(frame, label_N, np.where(some, random.beta(1, 3, len(frame)), 0.0))


def class_median(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """An amount whose gaps (a seventh) were filled with the median of the row's class."""
    value = _amount(frame, random).mask(random.random(len(frame)) < 0.15)
    return _with(frame, label_N, value.fillna(value.groupby(label_N).transform("median")))


def codes_for_gaps(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """An amount whose gaps (a fifth) are -1 in one class and -2 in the other."""
    hole = random.random(len(frame)) < 0.2
    return _with(frame, label_N, np.where(hole, np.where(label_N == 1, -1.0, -2.0), _amount(frame, random)))


def late_status(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """A code that a clerk gives to a third of the bad rows afterwards, beside five that mean nothing."""
    usual = random.choice(["a", "b", "c", "d", "e"], len(frame))
    return _with(frame, label_N, np.where((label_N == 1) & (random.random(len(frame)) < 0.35), "legal", usual))


def case_number(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """Texts that number the rows, one class after the other."""
    place = np.argsort(np.lexsort((random.random(len(frame)), label_N)))
    return _with(frame, label_N, [f"C-{3 * one + 500_000}" for one in place])


def parity(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """A whole number that is odd in one class."""
    return _with(frame, label_N, 2 * random.integers(1000, 90_000, len(frame)) + label_N)


def fitted_score(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """What trees say of the very rows that they learnt."""
    from sklearn.ensemble import RandomForestClassifier

    numbers = frame.select_dtypes("number").fillna(-1).to_numpy()
    x_NF = np.column_stack([numbers, random.normal(size=(len(frame), 3))])
    trees = RandomForestClassifier(40, random_state=int(random.integers(2**31)), n_jobs=1).fit(x_NF, label_N)
    return _with(frame, label_N, trees.predict_proba(x_NF)[:, 1])


def _shops(frame: pd.DataFrame, random: np.random.Generator, size: int = 15) -> Ints:
    return random.integers(0, max(len(frame) // size, 10), len(frame))


def _encoded(
    frame: pd.DataFrame, label_N: Ints, random: np.random.Generator, of: Callable[[pd.Series, pd.Series], pd.Series]
) -> Case:
    """A column from the positives and rows of each row's shop."""
    shop, label = _shops(frame, random), pd.Series(label_N)
    positives, rows = label.groupby(shop).transform("sum"), label.groupby(shop).transform("size")
    return _with(frame.assign(shop=shop), label_N, of(positives, rows).to_numpy())


def target_encoding(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The positive share of the row's shop, kept in single precision."""
    return _encoded(frame, label_N, random, lambda positives, rows: (positives / rows).astype("float32"))


def smoothed_encoding(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The same, drawn towards the mean by eight rows."""
    prior = label_N.mean()
    return _encoded(frame, label_N, random, lambda positives, rows: (positives + 8 * prior) / (rows + 8))


def evidence_encoding(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """Weight of evidence of the row's shop."""
    odds = (label_N == 0).sum() / label_N.sum()
    return _encoded(frame, label_N, random, lambda one, rows: np.log((one + 0.5) / (rows - one + 0.5) * odds))


def ranked_encoding(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The rank of the row's shop by its positive share: equal to no statistic."""
    return _encoded(frame, label_N, random, lambda positives, rows: (positives / rows).rank(method="dense"))


def bads_of_the_shop(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """How many bad rows the row's shop has, itself included."""
    return _encoded(frame, label_N, random, lambda positives, _: positives)


def without_the_row(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The share of the shop's other rows: inside a shop it is the row's own label."""
    label = pd.Series(label_N)
    return _encoded(frame, label_N, random, lambda one, rows: (one - label) / (rows - 1).clip(lower=1))


def training_encoding(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The shop's share in the training rows, given to all."""
    train, shop = random.random(len(frame)) < 0.75, _shops(frame, random)
    share = pd.Series(label_N[train]).groupby(shop[train]).mean().reindex(shop).fillna(label_N.mean()).to_numpy()
    return _with(frame.assign(fold=np.where(train, "learn", "hold")), label_N, share, part="fold")


def sorted_file(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The bad rows first."""
    order = np.lexsort((random.random(len(frame)), -label_N))
    return Case(frame.iloc[order].reset_index(drop=True), label_N[order], {}, "(row order)")


def copied_rows(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """A tenth of the rows again, before the split was drawn."""
    again = np.append(np.arange(len(frame)), random.integers(0, len(frame), len(frame) // 10))
    order = random.permutation(again)
    fold = np.where(random.random(len(order)) < 0.75, "learn", "hold")
    return Case(frame.iloc[order].reset_index(drop=True).assign(fold=fold), label_N[order], {"part": "fold"}, "(rows)")


def shared_customers(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """Customers in both parts of a split that claims to be by customer."""
    fold = np.where(random.random(len(frame)) < 0.75, "learn", "hold")
    roles = {"part": "fold", "entities": ["card"], "split": "entity"}
    return Case(frame.assign(fold=fold, card=_shops(frame, random)), label_N, roles, "card")


def mixed_times(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """A random split that claims to be one of time."""
    fold = np.where(random.random(len(frame)) < 0.75, "learn", "hold")
    roles = {"part": "fold", "time": "at", "split": "time"}
    return Case(frame.assign(fold=fold, at=_times(frame, random)), label_N, roles, "fold")


def _times(frame: pd.DataFrame, random: np.random.Generator) -> Ints:
    return np.sort(random.integers(0, 200 * DAY_US, len(frame))) + 18_500 * DAY_US


def _told(
    frame: pd.DataFrame,
    label_N: Ints,
    random: np.random.Generator,
    of: Callable[[pd.core.groupby.SeriesGroupBy], pd.Series],
    delay_days: float = 0.0,
    amounts: bool = False,
) -> Case:
    """A column from the labels (or amounts) of each row's card, in the order of time."""
    card, amount = _shops(frame, random), _amount(frame, random)
    value = of((amount if amounts else pd.Series(label_N)).groupby(card)).fillna(0).to_numpy()
    whole = frame.assign(card=card, at=_times(frame, random), **({"amount_of_it": amount} if amounts else {}))
    return _with(whole, label_N, value, time="at", entities=["card"], delay_days=delay_days)


def next_label(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The label of the card's next row."""
    return _told(frame, label_N, random, lambda of_card: of_card.shift(-1))


def so_far_and_itself(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The card's positives up to the row, its own label included."""
    return _told(frame, label_N, random, lambda of_card: of_card.cumsum())


def not_yet_known(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The card's positives before the row, although labels are known after 30 days."""
    return _told(frame, label_N, random, lambda one: one.cumsum() - one.transform(lambda all_: all_), delay_days=30)


def centred_window(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The share of positives of the card's five rows around it."""
    return _told(
        frame,
        label_N,
        random,
        lambda one: one.transform(lambda all_: all_.rolling(5, center=True, min_periods=1).mean()),
    )


def mean_of_all_times(frame: pd.DataFrame, label_N: Ints, random: np.random.Generator) -> Case:
    """The card's mean amount, later rows included."""
    return _told(frame, label_N, random, lambda of_card: of_card.transform("mean"), amounts=True)


PLANTS: dict[str, Plant] = {
    plant.__name__.replace("_", " "): plant
    for plant in (
        inverted, outcome_words, closing_date, recovered_share, class_median, codes_for_gaps, late_status, case_number,
        parity, fitted_score, target_encoding, smoothed_encoding, evidence_encoding, ranked_encoding, bads_of_the_shop,
        without_the_row, training_encoding, sorted_file, copied_rows, shared_customers, mixed_times, next_label,
        so_far_and_itself, not_yet_known, centred_window, mean_of_all_times,
    )
}  # fmt: skip
