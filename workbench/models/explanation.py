"""Why a model said what it said: each feature's share in its log-odds.

A mixture is linear in log-odds, so its explanation is the same mixture of its members' explanations. What is exact:

| member | method | exact |
|---|---|---|
| XGBoost, LightGBM | TreeSHAP by the library, of the member's own file; base: the mean of its training rows | yes |
| logistic regression | weight x distance from the mean training row | yes |
| any other, 11 features or fewer | Shapley values against the mean training row, all 2^F coalitions | yes |
| any other | the same from PAIRS permutations and their reverses: the sum is exact, each share an estimate | no |

Whatever the method, base and contributions add up to the mixture's log-odds: what is left by single precision is spread
over the contributions by their size, and more than `LOOSE` of it is a fault. Only ONNX Runtime and, for trees, the
library that made them are needed: no framework of networks. Shapes: N rows, F features, M members.
"""

import importlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.config import FAMILIES, TrainConfig
from workbench.errors import StoreError
from workbench.models import inputs
from workbench.models.bundle import Bundle

ADDITIVE = {"xgboost": "tree_shap", "lightgbm": "tree_shap", "logistic_regression": "linear"}
ENUMERATED = 11  # features up to which all coalitions are looked at
PAIRS = 32
LOOSE = 1e-3  # log-odds that single precision may leave between a library and the graph
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A member's explanation, before its weight."""

    method: str
    exact: bool
    base: float
    contribution_F: Floats


@dataclass(frozen=True)
class Explanation:
    """`base` and contributions add up to `log_odds`, which is before any calibration."""

    score: float
    log_odds: float
    base: float
    contribution_F: Floats
    members: dict[str, Part]


class Explainer:
    """Explains one model version. `files` are the members' own files, by their names in the bundle."""

    def __init__(self, bundle: Bundle, files: Mapping[str, bytes]) -> None:
        self._bundle, self._files = bundle, files
        self._names = bundle.feature_set.names
        self._alone = threading.Lock()  # one explanation at a time: they are beside the scoring

    def explain(self, features_F: Sequence[float]) -> Explanation:
        """The explanation of one row."""
        bundle, x_F = self._bundle, np.asarray(features_F, np.float32)
        with self._alone:
            found = bundle.scorer.score(x_F[None])
            own_M = found.member_logits_NM[0].astype(float)
            parts = dict(self._parts(x_F, own_M))
        log_odds = float(found.logit_N[0])
        weighted = list(zip(parts.values(), bundle.weights, strict=True))
        base = sum(part.base * weight for part, weight in weighted)
        shares_F = np.sum([part.contribution_F * weight for part, weight in weighted], axis=0)
        base, shares_F = _settled(base, shares_F, log_odds, "the mixture")
        return Explanation(float(found.score_N[0]), log_odds, base, shares_F, parts)

    def _parts(self, x_F: NDArray[np.float32], own_M: Floats) -> Iterator[tuple[str, Part]]:
        """Each member's part; those without a method of their own share the runs of the graph."""
        methods = {name: self._additive(name) for name in self._bundle.members}
        shapley = _shapley(self._logits, x_F, self._mean_F) if None in methods.values() else None
        for place, (name, method) in enumerate(methods.items()):
            if method is not None:
                yield name, self._native(name, method, x_F, own_M[place])
            else:
                assert shapley is not None
                kind, exact, base_M, share_FM = shapley
                base, share_F = _settled(float(base_M[place]), share_FM[:, place], own_M[place], name)
                yield name, Part(kind, exact, base, share_F)

    def _additive(self, family: str) -> str | None:
        """The method of a member whose library explains it, and whose log-odds are the library's but for a shift."""
        if family not in ADDITIVE:
            return None
        from workbench.models.composition import Member  # needs ONNX, which an install that only serves has not

        members = [Member.from_bytes(content) for content in self._of(family).values()]
        plain = all(one.anomaly is None and not one.correction.gamma for one in members)
        return ADDITIVE[family] if members and plain else None

    def _native(self, family: str, method: str, x_F: NDArray[np.float32], own: float) -> Part:
        """By the library, the mean of a member's fits."""
        from workbench.models.composition import Member

        places = inputs.places_of(getattr(TrainConfig(), family), self._names)
        module, found = importlib.import_module(f"workbench.models.{family}"), list[Floats]()
        for content in self._of(family).values():
            member = Member.from_bytes(content)
            each = np.asarray(module.contributions(member.model, x_F[None, places]), np.float64)[0]
            each[-1] += member.correction.shift
            found.append(each)
        mean = np.mean(found, axis=0)
        share_F = np.zeros(len(self._names))
        share_F[places] = mean[:-1]
        base, share_F = _settled(float(mean[-1]), share_F, own, family)
        return Part(method, True, base, share_F)

    def _of(self, family: str) -> dict[str, bytes]:
        """The files of a member: one, or one for each fit."""
        if family not in FAMILIES:
            return {}
        named = f"members/{family}"
        return {name: one for name, one in self._files.items() if name == named or name.startswith(f"{named}/")}

    def _logits(self, x_NF: NDArray[np.float32]) -> Floats:
        return self._bundle.scorer.score(x_NF).member_logits_NM.astype(np.float64)

    @cached_property
    def _mean_F(self) -> NDArray[np.float32]:
        """The mean training row, by the reference profile; zeros where there is none."""
        known = self._bundle.reference.get("profile", {}).get("features", {})
        means = ((known.get(name) or {}).get("mean") for name in self._names)
        return np.array([0.0 if mean is None else mean for mean in means], np.float32)


def _shapley(logits: Callable[[Any], Floats], x_F: Any, mean_F: Any) -> tuple[str, bool, Floats, Floats]:
    """Method, whether it is exact, bases [M] and Shapley values [F, M] against one reference row."""
    if len(x_F) <= ENUMERATED:
        return "shapley", True, *_enumerated(logits, x_F, mean_F)
    return "sampled_shapley", False, *_sampled(logits, x_F, mean_F)


def _enumerated(logits: Callable[[Any], Floats], x_F: Any, mean_F: Any) -> tuple[Floats, Floats]:
    """By all coalitions: Shapley's own formula."""
    count = len(x_F)
    coalition_CF = np.array(list(itertools.product([False, True], repeat=count)))
    value_CM = logits(np.where(coalition_CF, x_F, mean_F).astype(np.float32))
    size_C, place_F = coalition_CF.sum(axis=1), 2 ** np.arange(count)[::-1]
    factorial = np.cumprod([1.0, *range(1, count + 1)])
    weight_C = factorial[size_C] * factorial[np.maximum(count - size_C - 1, 0)] / factorial[count]
    share_FM = np.empty((count, value_CM.shape[1]))
    for feature in range(count):
        without_C = np.flatnonzero(~coalition_CF[:, feature])
        gained_CM = value_CM[without_C + place_F[feature]] - value_CM[without_C]
        share_FM[feature] = weight_C[without_C] @ gained_CM
    return value_CM[0], share_FM


def _sampled(logits: Callable[[Any], Floats], x_F: Any, mean_F: Any) -> tuple[Floats, Floats]:
    """By permutations and their reverses (Castro and others, 2009; Mitchell and others, 2022)."""
    count, random = len(x_F), np.random.default_rng(0)
    forward_PF = np.array([random.permutation(count) for _ in range(PAIRS)])
    order_PF = np.concatenate([forward_PF, forward_PF[:, ::-1]])
    rank_PF = np.argsort(order_PF, axis=1)
    steps = np.arange(count + 1)[None, :, None]  # after so many features
    rows = np.where(rank_PF[:, None, :] < steps, x_F, mean_F).astype(np.float32)
    value = logits(rows.reshape(-1, count)).reshape(len(order_PF), count + 1, -1)
    gained = np.diff(value, axis=1)  # [P, place, M]
    by_feature = np.take_along_axis(gained, rank_PF[:, :, None], axis=1)
    return value[0, 0], by_feature.mean(axis=0)


def _settled(base: float, share_F: Floats, total: float, whose: str) -> tuple[float, Floats]:
    """The same, adding up: what single precision has left is spread over the contributions by their size."""
    left = total - base - float(share_F.sum())
    if not abs(left) <= LOOSE * max(1.0, abs(total)):
        raise StoreError(f"the explanation of {whose} misses its log-odds by {left:g}: its files are not of one model.")
    size = float(np.abs(share_F).sum())
    return (base + left, share_F) if not size else (base, share_F + left * np.abs(share_F) / size)
