"""A small causal transformer over the last transactions in PyTorch, data-parallel."""

from typing import Any

from workbench.models import transformer as model_file
from workbench.training import sequences, torch_loop
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits, hyperparameters and the encodings of the folds."""
    return torch_loop.train(loop, model_file.to_onnx, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """The network after `steps` epochs."""
    build = sequences.builder(config, fit, model_file.Transformer, config["hyper"].heads)
    return torch_loop.fit_network(build, shard, scored, steps, fit, config, start, report)
