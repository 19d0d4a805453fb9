"""Whether a value per group is a statistic of the group's own labels: by its values, or by the reliability ceiling.

The positive share of a group is its true rate and the chance of its few rows. What knows the true rate at best
correlates with the share up to the share's reliability (squared); what correlates more knows the chance too, so it has
seen these very labels.

Shapes: G groups.
"""

import numpy as np
from scipy import stats

from workbench.leakage.grouped import Groups
from workbench.leakage.table import SEED, Floats

CEILING = 0.05  # what the squared correlation must exceed the reliability by, besides by chance
LEAST_GROUPS = 50  # with several rows
BLOCKS = 50  # of the jackknife


def named(groups: Groups, value_G: Floats, level: float) -> str:
    """Which statistic of the groups' labels the values are, in words; "" for none."""
    return _exact(groups, value_G) or _beyond_ceiling(groups, value_G, level)


def _exact(groups: Groups, value_G: Floats) -> str:
    """Which statistic of the labels the value of every group equals."""
    count_G, positive_G, share_G = groups.count_G, groups.positive_G, groups.share_G
    if len(np.unique(value_G)) < 2 or len(np.unique(share_G)) < 2:
        return ""
    prior = positive_G.sum() / count_G.sum()
    known = {"the positive share": share_G, "the number of positives": positive_G}
    odds = (positive_G + 0.5) / (count_G - positive_G + 0.5)
    known |= {"the log-odds": np.log(odds), "minus the positive share": -share_G, "the negative share": 1 - share_G}
    for words, stat_G in known.items():
        few = words == "the number of positives" and len(np.unique(stat_G)) < 5
        if not few and equal(value_G, stat_G):
            return f"equals {words} in {len(value_G):,} groups"
    off = np.abs(value_G - prior) > 1e-9
    weight_G = (positive_G[off] - value_G[off] * count_G[off]) / (value_G[off] - prior)
    if len(weight_G) >= 3 and len(np.unique(count_G[off])) > 1 and (weight := float(np.median(weight_G))) > 0:
        smooth_G = (positive_G + weight * prior) / (count_G + weight)
        if equal(value_G, smooth_G):
            return f"equals the positive share, smoothed by {weight:.4g} rows, in {len(value_G):,} groups"
    for words, stat_G in (("the positive share", share_G), ("the log-odds", np.log(odds))):
        if len(np.unique(share_G)) >= 4 and np.corrcoef(value_G, stat_G)[0, 1] ** 2 >= 1 - 1e-9:
            return f"is a straight line of {words} in {len(value_G):,} groups"
    return ""


def equal(value: Floats, other: Floats) -> bool:
    """Whether 99 % are equal, to the last digit that the values keep; needs digits enough to tell them apart."""
    spread = float(np.ptp(other))
    places = next((p for p in range(3, 9) if np.all(np.abs(value * 10**p - np.rint(value * 10**p)) < 1e-4)), 12)
    near = max(0.500001 * 10.0**-places, 1e-12 * float(np.abs(other).max()))
    return spread >= 20 * near and float(np.mean(np.abs(value - other) <= near)) >= 0.99


def _beyond_ceiling(groups: Groups, value_G: Floats, level: float) -> str:
    """Whether the value knows the chance in the groups' shares, tested by a jackknife over blocks of groups."""
    some = groups.count_G >= 2
    if some.sum() < LEAST_GROUPS:
        return ""
    value, share, count = value_G[some], groups.share_G[some], groups.count_G[some]
    value, share = value - value.mean(), share - share.mean()
    noise = groups.share_G[some] * (1 - groups.share_G[some]) / (count - 1)
    sums = np.stack([np.ones(len(value)), value, share, value**2, share**2, value * share, noise])
    block = np.random.default_rng(SEED).permutation(len(value)) % BLOCKS
    by_block = np.stack([np.bincount(block, one, minlength=BLOCKS) for one in sums])
    total, reliability, squared = _excess(by_block.sum(1))
    if not np.isfinite(total):
        return ""
    left = _excess(by_block.sum(1, keepdims=True) - by_block)[0]
    error = np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((left - left.mean()) ** 2))
    if total > CEILING and stats.t.sf(total / max(error, 1e-12), BLOCKS - 1) <= level:
        return (
            f"squared correlation {squared:.2f} with the positive share of {len(value):,} groups, of which only"
            f" {max(reliability, 0):.2f} is no chance"
        )
    return ""


def _excess(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared correlation minus reliability, and both, from the running sums."""
    count, value, share, value2, share2, product, noise = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        var_value, var_share = value2 / count - (value / count) ** 2, share2 / count - (share / count) ** 2
        squared = (product / count - value * share / count**2) ** 2 / (var_value * var_share)
        reliability = 1 - noise / count / var_share
    return squared - reliability, reliability, squared
