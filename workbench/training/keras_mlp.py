"""A multilayer perceptron in Keras on TensorFlow, data-parallel.

Keras 3's own `fit` does not run under `MultiWorkerMirroredStrategy`, so each step is a `strategy.run`: gradients are
flattened, summed between the workers in one collective call, and applied by every worker alike.
"""

import io
import json
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from workbench.families import NetworkConfig
from workbench.models import keras_mlp as model_file
from workbench.training import batches
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.rendezvous import rank, workers
from workbench.training.workers import work_off


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits, hyperparameters and the encodings of the folds."""
    hyper: NetworkConfig = config["hyper"]
    tf.config.threading.set_intra_op_parallelism_threads(1)
    task = {"type": "worker", "index": rank()}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers()}, "task": task})  # what the strategy reads
    config["strategy"] = tf.distribute.MultiWorkerMirroredStrategy()
    return work_off(loop, model_file.to_onnx, config["fits"], hyper.epochs, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """The network after `steps` epochs."""
    hyper, plan = config["hyper"], batches.Plan(shard, config["rows"][fit.fold], config["hyper"].batch_size)
    encoding = config["encodings"][fit.fold]
    with config["strategy"].scope():
        network = model_file.build(encoding, hyper.hidden, hyper.dropout, fit.seed)
        optimizer = keras.optimizers.AdamW(hyper.learning_rate, weight_decay=hyper.weight_decay)
        optimizer.build(network.trainable_variables)
    fitted, first = _restore(start, network, optimizer)
    step_function = _step_function(config["strategy"], network, optimizer, encoding.first)
    data = (*encoding.seen(shard.x_NF), shard.y_N)
    scorer = tf.function(lambda *seen: model_file.lookup(network, encoding.first, seen, training=False))
    judged = encoding.seen(scored.x_NF) if scored else None
    for epoch in range(first + 1, steps + 1):
        loss = _epoch(step_function, optimizer, data, plan, hyper, batches.Seed(fit.seed, epoch, config["epochs"]))
        batches.check(loss, fit, epoch)
        _score(scorer, judged, scored, epoch, loss, fitted)
        report(epoch, fitted, lambda: _state(network, optimizer, encoding))
    fitted.model = model_file.to_bytes(network, encoding)
    return fitted


def _step_function(strategy: Any, network: keras.Model, optimizer: Any, first: Any) -> Any:
    shapes = [tuple(one.shape) for one in network.trainable_variables]
    sizes = [int(np.prod(shape)) for shape in shapes]
    workers = strategy.num_replicas_in_sync

    def replica_step(*inputs: Any) -> Any:
        *seen, y = inputs
        with tf.GradientTape() as tape:
            logits = model_file.lookup(network, first, seen, training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))
        gradients = tape.gradient(loss, network.trainable_variables)
        flat = tf.concat([tf.reshape(one, [-1]) for one in gradients], axis=0)
        mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, flat) / workers
        parts = [tf.reshape(part, shape) for part, shape in zip(tf.split(mean, sizes), shapes, strict=True)]
        optimizer.apply(parts, network.trainable_variables)
        return loss

    return tf.function(lambda *inputs: strategy.run(replica_step, args=inputs))


def _epoch(
    step_function: Any,
    optimizer: Any,
    data: Sequence[Any],
    plan: batches.Plan,
    hyper: NetworkConfig,
    seed: batches.Seed,
) -> float:
    """The mean loss of one pass over the rows."""
    total = 0.0
    for step, rows in enumerate(plan.epoch(seed)):
        optimizer.learning_rate.assign(hyper.learning_rate * seed.cosine(step, plan.steps))
        total += float(step_function(*(tf.constant(one[rows]) for one in data)))
    return total / plan.steps


def _score(scorer: Any, judged: Any, scored: Rows | None, epoch: int, loss: float, fitted: Fitted) -> None:
    if scored is None:
        fitted.steps.append(epoch)
        return
    parts = [np.asarray(scorer(*part)) for part in batches.parts(*judged)]
    batches.record(fitted, epoch, loss, scored, np.concatenate(parts))


def _state(network: keras.Model, optimizer: Any, encoding: Any) -> dict[str, bytes]:
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **{f"{i:03d}": np.asarray(one) for i, one in enumerate(optimizer.variables)})
    return {"network": model_file.to_bytes(network, encoding), "optimizer": sink.getvalue()}


def _restore(start: Partial | None, network: keras.Model, optimizer: Any) -> tuple[Fitted, int]:
    if start is None:
        return Fitted(), 0
    network.set_weights(model_file.from_bytes(start.state["network"]).get_weights())
    with np.load(io.BytesIO(start.state["optimizer"]), allow_pickle=False) as stored:
        for variable, name in zip(optimizer.variables, sorted(stored.files), strict=True):
            variable.assign(stored[name])
    return start.fitted, start.step
