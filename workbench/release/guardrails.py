"""Whether a canary harms, from counts of decisions that it and the champion both made. Pure.

Three shares may not exceed what is allowed: decisions that differ, scores that shifted, scores that were slow. Each is
held by a sequential test that may be looked at after every pair: the likelihood ratio of larger shares against the
allowed one, mixed over a few of them, is a non-negative supermartingale as long as the allowed share is kept, so that
by Ville's inequality it reaches 1 / alpha with a chance of alpha at most, however often one looks (Robbins 1970; Howard
and others 2021, https://arxiv.org/abs/1810.08240). It depends on counts alone: those of all replicas add up.
"""

import math
from dataclasses import dataclass

from workbench.release.releases import Canary
from workbench.release.settings import GuardrailsConfig

TIMES = (1.5, 2.0, 3.0, 6.0, 12.0, 24.0)  # the larger shares, as multiples of the allowed one
TESTS = 3


@dataclass(frozen=True)
class Counts:
    """What was seen of a canary so far."""

    pairs: int = 0  # decisions that both made
    differing: int = 0  # of them, flagged by one of the two only
    shifted: int = 0  # of them, scores too far apart
    slow: int = 0  # of them, scored too slowly by the canary
    faults: int = 0  # scores of the canary that failed or were no number; no pairs
    at_share: int = 0  # of the pairs, decided since the canary has its share

    def __add__(self, other: "Counts") -> "Counts":
        mine, theirs = vars(self), vars(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})


def harm(counts: Counts, cfg: GuardrailsConfig) -> str | None:
    """Why the canary is to be rolled back; None: nothing says so."""
    if counts.faults > cfg.faults:
        return f"{counts.faults} of its scores failed or were no number; serve.guardrails.faults={cfg.faults} may."
    for what, found, key in (
        ("decisions differ from the champion's", counts.differing, "disagreement"),
        (f"scores are more than {cfg.shift:g} from the champion's", counts.shifted, "shifted_share"),
        ("scores took too long beside the champion's", counts.slow, "slow_share"),
    ):
        allowed = getattr(cfg, key)
        if log_evidence(counts.pairs, found, allowed) >= math.log(TESTS / cfg.alpha):
            return f"{found:,} of {counts.pairs:,} {what}; serve.guardrails.{key}={allowed:g} of them may."
    return None


def log_evidence(pairs: int, found: int, allowed: float) -> float:
    """The logarithm of the mixture's likelihood ratio that the share is larger than allowed."""
    shares = [share for share in (times * allowed for times in TIMES) if share < 1] or [(1 + allowed) / 2]
    parts = [
        found * math.log(share / allowed) + (pairs - found) * math.log((1 - share) / (1 - allowed)) for share in shares
    ]
    top = max(parts)
    return top + math.log(sum(math.exp(part - top) for part in parts) / len(parts))


def next_percent(counts: Counts, canary: Canary, cfg: GuardrailsConfig) -> int | None:
    """The share of the customers that the canary goes on to; None while the one it has lacks its number of pairs.

    Pairs of the shares before do not count, however late they arrive: the next share has shown nothing by them.
    """
    return canary.next_percent if counts.at_share >= cfg.pairs_per_step else None
