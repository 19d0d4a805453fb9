"""A wide & deep network in Keras on TensorFlow, data-parallel: the loop is `keras_loop.py`."""

import functools
from typing import Any

import numpy as np

from workbench.models import keras_wide_deep as model_file
from workbench.training import keras_loop
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits, hyperparameters and the encodings of the folds."""
    return keras_loop.train(loop, model_file.to_onnx, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """The network after `steps` epochs."""
    hyper, encoding, names = config["hyper"], config["encodings"][fit.fold], config["names"]
    pairs_P2 = np.array([[names.index(one) for one in pair] for pair in hyper.crosses], np.int64).reshape(-1, 2)
    build = functools.partial(
        model_file.Network, encoding, hyper.hidden, hyper.dropout, fit.seed, pairs_P2, hyper.cells
    )
    return keras_loop.fit_network(build, shard, scored, steps, fit, config, start, report)
