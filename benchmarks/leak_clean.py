"""Tables without a leak: twelve kinds of simulated ones, and those that are published. Each finding in one is false.

The kinds are chosen to be hard: strong honest columns, codes that say much, entities and times, drift, gaps that mean
something, parts, few positives, many columns, honest statistics of a group's past.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

from benchmarks.leak_case import Case, Ints

Made = Callable[[np.random.Generator], Case]
DAY_US = 86_400_000_000
SAMPLE = Path(__file__).parents[1] / "workbench" / "data" / "samples" / "lending_club.parquet"
PUBLISHED = {  # file, label, the value that means 1
    "credit_data": ("loans", "Status", "bad"),
    "german": ("loans", "credit", "2"),
    "adult": ("census", "income", ">50K"),
    "uci_default": ("clients", "default.payment.next.month", "1"),
    "elec2": ("stream", "class", "1"),
    "sea": ("stream", "label", "1"),
}


def published(folder: Path | None) -> Iterator[tuple[str, Case]]:
    """The real tables: what ships with us or with scikit-learn, and those in the folder of reference data."""
    yield "lending_club", _real(pd.read_parquet(SAMPLE), "Class", "bad")
    for name, positive in (("breast_cancer", "0"), ("digits", "8"), ("wine", "1"), ("diabetes", "")):
        found = getattr(datasets, f"load_{name}")(as_frame=True)
        target = found.target if positive else (found.target > found.target.quantile(0.8)).astype(int)
        order = np.random.default_rng(20_211).permutation(len(target))  # iris and wine come sorted by their label
        frame = found.data.assign(target=target).iloc[order].reset_index(drop=True)
        yield name, _real(frame, "target", positive or "1")
    for name, (file, label, value) in PUBLISHED.items() if folder else ():
        yield name, _real(pd.read_parquet(Path(folder or "") / name / f"{file}.parquet"), label, value)


def _real(frame: pd.DataFrame, label: str, positive: str) -> Case:
    label_N = (frame[label].astype(str).str.strip() == positive).to_numpy().astype(np.int64)
    part = {"part": "split"} if "split" in frame else {}
    return Case(frame.drop(columns=[label]), label_N, part)


def _label(logit_N: np.ndarray, share: float, random: np.random.Generator) -> Ints:
    """Labels of about this share of positives, by chance, with these log-odds but for a constant."""
    low, high = -40.0, 40.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-(logit_N + middle)))).mean() < share else (low, middle)
    label_N = (random.random(len(logit_N)) < 1 / (1 + np.exp(-(logit_N + low)))).astype(np.int64)
    label_N[:2] = 0, 1  # both classes, whatever chance says
    return label_N


def strong(random: np.random.Generator) -> Case:
    """A few numbers of which one says nearly all that can be known (AUC about .95), beside noise."""
    x_NF = random.standard_t(5, (6000, 8))
    frame = pd.DataFrame(x_NF, columns=[f"x{i}" for i in range(8)]).round(int(random.integers(2, 7)))
    return Case(frame, _label(3.2 * x_NF[:, 0] + x_NF[:, 1], random.uniform(0.05, 0.5), random))


def interactions(random: np.random.Generator) -> Case:
    """No column alone says anything; two together do."""
    x_NF, sign_N = random.lognormal(3, 1, (5000, 6)), random.choice([-1, 1], 5000)
    frame = pd.DataFrame(x_NF, columns=list("abcdef")).round(2).assign(side=np.where(sign_N > 0, "left", "right"))
    return Case(frame, _label(3 * sign_N * (np.log(x_NF[:, 0]) - 3), 0.3, random))


def codes(random: np.random.Generator) -> Case:
    """Texts with up to 800 values, some of them rare, whose rates differ much."""
    sizes = random.integers(3, 800, 5)
    places = [np.minimum(random.geometric(3 / size, 8000), size) for size in sizes]
    effects = [random.normal(0, 1.2, size + 1)[place] for size, place in zip(sizes, places, strict=True)]
    frame = pd.DataFrame({f"code{i}": [f"k{one}" for one in place] for i, place in enumerate(places)})
    return Case(frame, _label(np.sum(effects, axis=0), random.uniform(0.03, 0.4), random))


def few_positives(random: np.random.Generator) -> Case:
    """Sixty positives of 12,000: amounts with zeros, counts and flags."""
    amount_N = np.where(random.random(12_000) < 0.6, 0.0, random.pareto(2, 12_000) * 100)
    count_N, flag_N = random.poisson(1.5, 12_000), random.random(12_000) < 0.02
    frame = pd.DataFrame({"amount": amount_N.round(2), "count": count_N, "flag": flag_N, "id": np.arange(12_000)})
    return Case(frame, _label(0.004 * np.minimum(amount_N, 800) + 0.5 * count_N + 2.5 * flag_N, 0.005, random))


def small(random: np.random.Generator) -> Case:
    """Two to six hundred rows, as a first extract has."""
    rows = int(random.integers(200, 600))
    frame = pd.DataFrame({f"x{i}": random.normal(size=rows).round(1) for i in range(10)})
    frame["region"], frame["since"] = random.choice(list("nesw"), rows), random.integers(1990, 2024, rows)
    return Case(frame, _label(1.5 * frame["x0"].to_numpy(), random.uniform(0.1, 0.5), random))


def wide(random: np.random.Generator) -> Case:
    """A hundred and fifty columns in 2,000 rows; most mean nothing."""
    x_NF = random.normal(size=(2000, 150)) @ np.diag(random.lognormal(0, 2, 150))
    frame = pd.DataFrame(x_NF, columns=[f"v{i}" for i in range(150)])
    return Case(frame, _label(x_NF[:, :5] / x_NF[:, :5].std(0) @ np.array([2.0, 1, 1, 0.5, 0.5]), 0.2, random))


def telling_gaps(random: np.random.Generator) -> Case:
    """Values that are missing three times as often in one class, codes for "none", and heaped amounts."""
    logit_N = random.logistic(size=7000)
    label_N = _label(2 * logit_N, random.uniform(0.08, 0.4), random)
    income = pd.Series(np.rint(random.lognormal(8, 0.6, 7000) / 500) * 500)
    frame = pd.DataFrame({"income": income.mask(random.random(7000) < np.where(label_N == 1, 0.3, 0.1))})
    frame["score"] = (600 + 60 * random.normal(-logit_N)).round()
    frame["months"] = np.where(random.random(7000) < 0.4 - 0.2 * label_N, -999, random.integers(0, 120, 7000))
    return Case(frame, label_N)


def panel(random: np.random.Generator) -> Case:
    """Customers of differing risk over a year: a split by customer, and what is constant of each customer."""
    card_N = random.integers(0, 700, 9000)
    risk_C = random.normal(0, 1.3, 700)
    label_N = _label(risk_C[card_N], random.uniform(0.02, 0.3), random)
    fold_C = np.where(random.random(700) < 0.7, "learn", "hold")
    frame = pd.DataFrame({"card": card_N, "fold": fold_C[card_N], "bureau": random.normal(risk_C)[card_N].round(3)})
    frame["age"], frame["amount"] = random.integers(18, 80, 700)[card_N], random.gamma(2, 50, 9000).round(2)
    return Case(frame, label_N, {"entities": ["card"], "part": "fold", "split": "entity"})


def stream(random: np.random.Generator) -> Case:
    """A year whose risk drifts and has seasons; a split by time at one moment."""
    at_N = np.sort(random.integers(0, 365 * DAY_US, 9000))
    phase_N = at_N / (365 * DAY_US)
    x_NF = random.normal(size=(9000, 3)) + phase_N[:, None]
    logit_N = (2 - 3 * phase_N) * x_NF[:, 0] + x_NF[:, 1] + np.sin(12 * np.pi * phase_N)
    frame = pd.DataFrame(x_NF, columns=list("xyz")).assign(at=at_N, hour=at_N // 3_600_000_000 % 24)
    frame["fold"] = np.where(at_N < np.quantile(at_N, 0.7), "learn", "hold")
    return Case(frame, _label(logit_N, 0.1, random), {"time": "at", "part": "fold", "split": "time", "delay_days": 5.0})


def honest_past(random: np.random.Generator) -> Case:
    """Counts, means and known shares of each card's past, as this product computes them, with a delay of 7 days."""
    at_N, card_N = np.sort(random.integers(0, 120 * DAY_US, 8000)), random.integers(0, 400, 8000)
    amount_N = random.gamma(2, 40, 8000).round(2)
    label_N = _label(random.normal(0, 1.5, 400)[card_N] + amount_N / 100, random.uniform(0.03, 0.2), random)
    frame = pd.DataFrame({"at": at_N, "card": card_N, "amount": amount_N})
    by_card = frame.assign(label=label_N).groupby("card")
    frame["count"] = by_card.cumcount() + 1
    frame["mean"] = by_card["amount"].cumsum() / frame["count"]
    frame["known"] = by_card[["at", "label"]].apply(_known_share).droplevel(0).reindex(frame.index)
    return Case(frame, label_N, {"time": "at", "entities": ["card"], "delay_days": 7.0})


def _known_share(card: pd.DataFrame) -> pd.Series:
    """The share of positives among a card's rows that were known a week ago."""
    at_N, sums = card["at"].to_numpy(), np.append(0, np.cumsum(card["label"].to_numpy()))
    seen_N = np.searchsorted(at_N, at_N - 7 * DAY_US, side="right")
    return pd.Series(sums[seen_N] / np.maximum(seen_N, 1), card.index)


def encoded_elsewhere(random: np.random.Generator) -> Case:
    """Shares of each shop's labels that were made of *other* rows (an older year), and out of fold."""
    shop_N, rate_S = random.integers(0, 300, 7000), random.beta(1.5, 8, 300)
    label_N = (random.random(7000) < rate_S[shop_N]).astype(np.int64)
    older_S = random.binomial(25, rate_S) / 25
    fold_N, folded_N = random.integers(0, 5, 7000), np.zeros(7000)
    for fold in range(5):
        rest, mean = fold_N != fold, label_N[fold_N != fold].mean()
        positives, rows = (np.bincount(shop_N[rest], w, minlength=300) for w in (label_N[rest], np.ones(rest.sum())))
        folded_N[~rest] = ((positives + 20 * mean) / (rows + 20))[shop_N[~rest]]
    part_N = np.where(random.random(7000) < 0.7, "learn", "hold")
    frame = pd.DataFrame({"shop": shop_N, "older": older_S[shop_N], "folded": folded_N, "fold": part_N})
    return Case(frame, label_N, {"part": "fold"})


def nothing(random: np.random.Generator) -> Case:
    """Labels without any relation, groups, parts and times: what is found is chance alone."""
    rows = int(random.integers(300, 3000))
    frame = pd.DataFrame({f"x{i}": random.normal(size=rows) for i in range(8)})
    frame["code"], frame["card"] = random.integers(0, 40, rows), random.integers(0, rows // 6, rows)
    frame["at"], frame["fold"] = (
        np.sort(random.integers(0, 90 * DAY_US, rows)),
        random.choice(["a", "b"], rows, p=[0.7, 0.3]),
    )
    label_N = _label(np.zeros(rows), random.uniform(0.03, 0.5), random)
    return Case(frame, label_N, {"time": "at", "entities": ["card"], "part": "fold", "split": "random"})


KINDS: dict[str, Made] = {
    made.__name__.replace("_", " "): made
    for made in (
        strong, interactions, codes, few_positives, small, wide, telling_gaps, panel, stream, honest_past,
        encoded_elsewhere, nothing,
    )
}  # fmt: skip
