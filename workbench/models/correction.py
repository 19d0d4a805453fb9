"""From what a family learnt of rows that were weighed or left out to the log-odds of the rows as they are.

Positives that count w times, and negatives of which a share s is used, multiply the odds that are learnt by w / s: the
logarithm is taken off again (King and Zeng: "Logistic Regression in Rare Events Data", 2001). The focal loss (Lin and
others: "Focal Loss for Dense Object Detection", 2017) is least at another probability p than the true one h. There

    log h / (1 - h) = (g - 1) z + log(exp(z) + g softplus(z)) - log(exp(-z) + g softplus(-z)),    z = log p / (1 - p)

which rises with z (Charoenphakdee and others: "On Focal Loss for Class-Posterior Probability Estimation", 2021), and
is (g + 1) z + log(1 + g) or (g + 1) z - log(1 + g) where z is far below or above 0.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LIMIT = 20.0  # beyond, the lines above are exact in float32


@dataclass(frozen=True)
class Correction:
    """What is done to the log-odds of a family."""

    shift: float = 0.0  # is added in the end
    gamma: float = 0.0  # of the focal loss; 0 for the log loss

    @classmethod
    def of(cls, hyper: Any) -> "Correction":
        """The correction of a family's hyperparameters; none for one that never sees the label."""
        if not hyper.supervised:
            return cls()
        focal = getattr(hyper, "loss", "log") == "focal"
        shift = math.log(hyper.negative_share) - math.log(hyper.positive_weight)
        return cls(shift, hyper.focal_gamma if focal else 0.0)

    def applied(self, logit_N: NDArray[Any]) -> NDArray[Any]:
        """The corrected log-odds."""
        if not self.gamma:
            return logit_N + self.shift
        near_N = np.clip(logit_N.astype(np.float64), -LIMIT, LIMIT)
        rise_N = np.log(np.exp(near_N) + self.gamma * np.logaddexp(0, near_N))
        fall_N = np.log(np.exp(-near_N) + self.gamma * np.logaddexp(0, -near_N))
        beyond_N = (self.gamma + 1) * (logit_N - near_N)
        return (self.gamma - 1) * near_N + rise_N - fall_N + beyond_N + self.shift

    def nodes(self, taken: str, given: str) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
        """The same as operators from the value `taken` to the value `given`, float32 [N], and their constants."""
        if not self.gamma:
            add = helper.make_node("Add", [taken, "correction/shift"], [given], name="correction/add")
            return [add], [numpy_helper.from_array(np.float32(self.shift), "correction/shift")]
        return self._focal(taken, given)

    def _focal(self, taken: str, given: str) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
        """In double precision: log(1 + exp(z)) of a float32 is nothing long before z is far from 0."""
        steps = (
            ("Cast", ["z32"], "z"),
            ("Clip", ["z", "low", "high"], "near"),
            *_branch("near", "rise"),
            ("Neg", ["near"], "minus"),
            *_branch("minus", "fall"),
            ("Sub", ["rise", "fall"], "bent"),
            ("Mul", ["near", "gamma_less"], "straight"),
            ("Sub", ["z", "near"], "over"),
            ("Mul", ["over", "gamma_more"], "beyond"),
            ("Sum", ["bent", "straight", "beyond", "shift"], "sum"),
        )
        numbers = {"low": -LIMIT, "high": LIMIT, "one": 1.0, "gamma": self.gamma, "shift": self.shift}
        numbers |= {"gamma_less": self.gamma - 1, "gamma_more": self.gamma + 1}
        nodes = []
        for operator, inputs, output in steps:
            named = [taken if one == "z32" else f"correction/{one}" for one in inputs]
            options = {"to": TensorProto.DOUBLE} if operator == "Cast" else {}
            place = f"correction/{output}"
            nodes.append(helper.make_node(operator, named, [place], name=f"{place}/at", **options))
        last = helper.make_node("Cast", ["correction/sum"], [given], name="correction/cast", to=TensorProto.FLOAT)
        constants = [numpy_helper.from_array(np.float64(v), f"correction/{name}") for name, v in numbers.items()]
        return [*nodes, last], constants


def _branch(taken: str, given: str) -> tuple[tuple[str, list[str], str], ...]:
    """log(exp(z) + gamma log(1 + exp(z)))."""
    odds, more, soft, part, whole = (f"{given}_{one}" for one in ("odds", "more", "soft", "part", "whole"))
    return (
        ("Exp", [taken], odds),
        ("Add", [odds, "one"], more),
        ("Log", [more], soft),
        ("Mul", [soft, "gamma"], part),
        ("Add", [odds, part], whole),
        ("Log", [whole], given),
    )
