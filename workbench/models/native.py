"""What a family's own framework says of a model, asked in a process of its own.

TensorFlow brings an LLVM, and so does Triton, which comes with PyTorch's GPU build and is loaded by its exporter: the
two in one process end it with a segmentation fault. So no process of ours loads both; for the same reason training
converts each model where it was trained.
"""

import importlib
from collections.abc import Mapping, Sequence

import numpy as np


def logits(
    members: Mapping[str, bytes], x_NF: np.ndarray, places: Mapping[str, Sequence[int]] | None = None
) -> dict[str, np.ndarray]:
    """Log-odds [N] of each family's file for raw features [N, F], all families at once; `places`: what each sees."""
    import ray

    alone, x = ray.remote(max_calls=1)(_logits), ray.put(x_NF)  # a process ends with its call
    seen = places or {}
    asked = {family: alone.remote(family, content, x, seen.get(family)) for family, content in members.items()}
    return {family: np.asarray(ray.get(answer)) for family, answer in asked.items()}


def _logits(family: str, content: bytes, x_NF: np.ndarray, places: Sequence[int] | None) -> np.ndarray:
    seen_NF = x_NF if places is None else x_NF[:, list(places)]
    return np.asarray(importlib.import_module(f"workbench.models.{family}").logits(content, seen_NF))
