"""A multilayer perceptron in PyTorch, data-parallel: the loop is `torch_loop.py`."""

import functools
from typing import Any

from workbench.models import torch_mlp as model_file
from workbench.training import torch_loop
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits, hyperparameters and the encodings of the folds."""
    return torch_loop.train(loop, model_file.to_onnx, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """The network after `steps` epochs."""
    hyper, encoding, vocabularies = config["hyper"], config["encodings"][fit.fold], config["vocabularies"][fit.fold]
    units = hyper.embedding_units
    embedded = {config["names"].index(name): (one.values, units) for name, one in vocabularies.items()}
    build = functools.partial(model_file.Network, encoding, hyper.hidden, hyper.dropout, embedded)
    return torch_loop.fit_network(build, shard, scored, steps, fit, config, start, report)
