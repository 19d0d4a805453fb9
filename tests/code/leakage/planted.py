"""Tables to audit, and leaks of many kinds to plant in any of them, each as a column that somebody once built."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.leak_clean import PUBLISHED, SAMPLE
from workbench.leakage.table import Audited, Column

Plant = Callable[[pd.DataFrame, np.ndarray, np.random.Generator], pd.DataFrame]
SETS = PUBLISHED | {"lending_club": ("loans", "Class", "bad")}


def loaded(name: str, folder: Path | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns and the label of one of the clean sets."""
    file, label, positive = SETS[name]
    path = SAMPLE if folder is None else folder / name / f"{file}.parquet"
    frame = pd.read_parquet(path)
    label_N = (frame[label].astype(str).str.strip() == positive).to_numpy().astype(np.int64)
    return frame.drop(columns=[label]), label_N


def audited(frame: pd.DataFrame, label_N: np.ndarray, entities: tuple[str, ...] = (), **roles: Any) -> Audited:
    """The frame as the audit takes it; a column `split` is its part, a column `time` its time in us."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    columns = {name: Column.of(name, table[name]) for name in table.column_names if name not in ("split", "time")}
    of_model = tuple(one for name, one in columns.items() if one is not None and name not in entities)
    of_entity = tuple(one for name, one in columns.items() if one is not None and name in entities)
    part = Column.of("split", table["split"]) if "split" in frame else None
    time_N = frame["time"].to_numpy().astype(np.int64) if "time" in frame else None
    roles = {"split": "time" if time_N is not None else "random"} | roles
    return Audited(of_model, label_N, time_N, of_entity, part, row_N=np.arange(len(frame)), **roles)


def number_of(frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """An honest number to hide something in: noise on the scale of money."""
    return np.round(random.lognormal(7, 1, len(frame)), 2)


def copy(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(planted=label_N)


def transform(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(planted=np.exp(2 - label_N * 0.3))


def words(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(planted=np.where(label_N == 1, "written off", "closed"))


def spread(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Continuous, and without overlap: a monotone function of the label and noise."""
    return frame.assign(planted=label_N * 10 + random.random(len(frame)))


def noisy_copy(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(planted=np.where(random.random(len(frame)) < 0.003, 1 - label_N, label_N))


def recovered(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """An amount that only defaulted loans have, and not all of these."""
    some = (label_N == 1) & (random.random(len(frame)) < 0.6)
    return frame.assign(planted=np.where(some, number_of(frame, random), 0.0))


def gap(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Missing in half of the rows of the positive class, never in the other."""
    some = (label_N == 1) & (random.random(len(frame)) < 0.5)
    return frame.assign(planted=np.where(some, np.nan, number_of(frame, random)))


def class_mean(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Gaps in a tenth of the rows, filled with the mean of the row's class."""
    value = pd.Series(np.where(random.random(len(frame)) < 0.1, np.nan, number_of(frame, random)))
    return frame.assign(planted=value.fillna(value.groupby(label_N).transform("mean")).to_numpy())


def class_code(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Gaps in a fifth of the rows, filled with a round number by class."""
    hole = random.random(len(frame)) < 0.2
    return frame.assign(planted=np.where(hole, np.where(label_N == 1, 900.0, 1500.0), number_of(frame, random)))


def status(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """A code that is written after the outcome, beside codes that are not."""
    usual = random.choice(["new", "open", "review"], len(frame))
    return frame.assign(planted=np.where((label_N == 1) & (random.random(len(frame)) < 0.5), "collection", usual))


def ordered_id(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Numbers of rows, given to one class after the other."""
    place = np.argsort(np.argsort(label_N + random.random(len(frame)) * 0.5, kind="stable"))
    return frame.assign(planted=place + 100_000)


def coded_id(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Texts that name a row, with the class in their middle."""
    numbers = random.permutation(len(frame))
    return frame.assign(planted=[f"{'AB'[one]}{number:07d}" for one, number in zip(label_N, numbers, strict=True)])


def numbered_text(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Texts with a number that was given to one class after the other, behind a prefix and before a random end."""
    place = ordered_id(frame, label_N, random)["planted"]
    return frame.assign(planted=[f"case {one}/{random.choice(list('xyz'))}" for one in place])


def last_digit(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """An honest amount with the label in its fourth decimal."""
    return frame.assign(planted=np.round(number_of(frame, random) + label_N / 10_000, 4))


def groups_of(frame: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    return random.integers(0, max(len(frame) // 12, 8), len(frame))


def group_mean(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    shop = groups_of(frame, random)
    return frame.assign(shop=shop, planted=pd.Series(label_N).groupby(shop).transform("mean").to_numpy())


def rounded_group_mean(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    return group_mean(frame, label_N, random).assign(planted=lambda found: found["planted"].round(4))


def smoothed_group_mean(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    shop, label = groups_of(frame, random), pd.Series(label_N)
    total, count = (label.groupby(shop).transform(what) for what in ("sum", "count"))
    return frame.assign(shop=shop, planted=((total + 20 * label.mean()) / (count + 20)).to_numpy())


def noised_group_mean(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Scaled, and blurred by noise of its own per group: equal to nothing, and yet made of these labels."""
    found = group_mean(frame, label_N, random)
    blur = random.normal(0, found["planted"].std() * 0.3, int(found["shop"].max()) + 1)
    return found.assign(planted=np.sqrt(found["planted"] + 1) * 7 + blur[found["shop"]])


def without_own_row(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """The mean of the group's other rows: inside a group it tells the row's own label."""
    shop, label = groups_of(frame, random), pd.Series(label_N)
    total, count = (label.groupby(shop).transform(what) for what in ("sum", "count"))
    return frame.assign(shop=shop, planted=((total - label) / (count - 1).clip(lower=1)).to_numpy())


def pure_values(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Codes of few rows each, given within one class."""
    return frame.assign(planted=[f"r{2 * random.integers(0, len(frame) // 8) + one}" for one in label_N])


def train_mean(frame: pd.DataFrame, label_N: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """A group's positive share, made of the training rows and kept for the others."""
    train = random.random(len(frame)) < 0.7
    shop, label = groups_of(frame, random), pd.Series(label_N)
    share = label[train].groupby(shop[train]).mean().reindex(shop).fillna(label.mean()).to_numpy()
    return frame.assign(planted=share, split=np.where(train, "train", "test"))


PLANTS: dict[str, tuple[Plant, str]] = {  # the plant, and the check that must name it
    "copy": (copy, "copy of the label"),
    "transform": (transform, "copy of the label"),
    "words": (words, "copy of the label"),
    "spread": (spread, "of the label|for the label"),
    "noisy copy": (noisy_copy, "of the label|for the label"),
    "recovered": (recovered, "value tells the label"),
    "gap": (gap, "missingness tells the label"),
    "class mean": (class_mean, "gaps filled by class"),
    "class code": (class_code, "gaps filled by class"),
    "status": (status, "value tells the label"),
    "ordered id": (ordered_id, "order tells the label|copy of the label"),
    "coded id": (coded_id, "order tells the label|copy of the label"),
    "numbered text": (numbered_text, "order tells the label|copy of the label"),
    "last digit": (last_digit, "copy of the label"),
    "group mean": (group_mean, "label statistic with the row itself"),
    "rounded group mean": (rounded_group_mean, "label statistic with the row itself"),
    "smoothed group mean": (smoothed_group_mean, "label statistic with the row itself"),
    "noised group mean": (noised_group_mean, "label statistic with the row itself"),
    "without own row": (without_own_row, "label statistic with the row itself"),
    "pure values": (pure_values, "values encode the label"),
    "train mean": (train_mean, "power gone in the test part"),
}
