"""What a family's own framework says of a model, asked in a process of its own.

TensorFlow brings an LLVM, and so does Triton, which comes with PyTorch's GPU build and is loaded by its exporter: the
two in one process end it with a segmentation fault. So no process of ours loads both; for the same reason training
converts each model where it was trained.
"""

import importlib
from collections.abc import Mapping

import numpy as np

from workbench.models.composition import Member


def logits(members: Mapping[str, bytes], x_NF: np.ndarray) -> dict[str, np.ndarray]:
    """Log-odds [N] of each family's file for raw features [N, F], all families at once."""
    import ray

    alone, x = ray.remote(max_calls=1)(_logits), ray.put(x_NF)  # a process ends with its call
    asked = {}
    for family, content in members.items():
        member = Member.from_bytes(content)
        before = alone.remote(member.anomaly.family, member.anomaly.model, x) if member.anomaly else None
        asked[family] = alone.remote(family, member.model, x, before)
    return {
        family: Member.from_bytes(members[family]).correction.applied(np.asarray(ray.get(answer)))
        for family, answer in asked.items()
    }


def _logits(family: str, content: bytes, x_NF: np.ndarray, anomaly_N: np.ndarray | None = None) -> np.ndarray:
    if anomaly_N is not None:
        x_NF = np.concatenate([x_NF, anomaly_N[:, None].astype(x_NF.dtype)], axis=1)
    return np.asarray(importlib.import_module(f"workbench.models.{family}").logits(content, x_NF))
