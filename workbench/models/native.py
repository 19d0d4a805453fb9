"""What a family's own framework says of a model, asked in a process of its own.

TensorFlow brings an LLVM, and so does Triton, which comes with PyTorch's GPU build and is loaded by its exporter: the
two in one process end it with a segmentation fault. So no process of ours loads both; for the same reason training
converts each model where it was trained.
"""

import importlib

import numpy as np


def logits(family: str, content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds [N] of `content`, a file of the family's framework, for raw features [N, F]."""
    import ray

    alone = ray.remote(max_calls=1)(_logits)  # the process ends with the call
    return np.asarray(ray.get(alone.remote(family, content, x_NF)))


def _logits(family: str, content: bytes, x_NF: np.ndarray) -> np.ndarray:
    return np.asarray(importlib.import_module(f"workbench.models.{family}").logits(content, x_NF))
