"""What a family's own framework says of a model, asked in a process of its own.

TensorFlow brings an LLVM, and so does Triton, which comes with PyTorch's GPU build and is loaded by its exporter: the
two in one process end it with a segmentation fault. So no process of ours loads both; for the same reason training
converts each model where it was trained.
"""

import importlib
from collections.abc import Mapping, Sequence

import numpy as np

from workbench.models.composition import Member, appended


def logits(
    members: Mapping[str, bytes], x_NF: np.ndarray, places: Mapping[str, Sequence[int]] | None = None
) -> dict[str, np.ndarray]:
    """Log-odds [N] of each file for raw features [N, F], all at once; the name before a / is its family.

    `places` says which of the features a family sees.
    """
    import ray

    alone, x = ray.remote(max_calls=1)(_logits), ray.put(x_NF)  # a process ends with its call
    seen, families = places or {}, {name: name.partition("/")[0] for name in members}
    asked = {name: alone.remote(families[name], one, x, seen.get(families[name])) for name, one in members.items()}
    return {name: np.asarray(ray.get(answer)) for name, answer in asked.items()}


def _logits(family: str, content: bytes, x_NF: np.ndarray, places: Sequence[int] | None) -> np.ndarray:
    """An anomaly score before it is the graph's: what the family was fitted on, and no second framework."""
    member = Member.from_bytes(content)
    module = importlib.import_module(f"workbench.models.{family}")
    all_NF = appended(x_NF, member.anomaly)
    added = range(x_NF.shape[1], all_NF.shape[1])
    seen_NF = all_NF if places is None else all_NF[:, [*places, *added]]
    own_N = np.asarray(module.logits(member.model, seen_NF))
    return own_N if member.plain else member.correction.applied(own_N)
