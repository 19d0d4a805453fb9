"""The data-parallel loop of every Keras network, on TensorFlow.

Keras 3's own `fit` does not run under `MultiWorkerMirroredStrategy`, so each step is a `strategy.run`: gradients are
flattened, summed between the workers in one collective call, and applied by every worker alike.
"""

import io
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from workbench.families import NetworkConfig
from workbench.models import keras_inputs
from workbench.models.composition import Convert
from workbench.training import batches, keras_losses
from workbench.training.fits import Fit, Fitted, Loop, Partial, Report, Rows
from workbench.training.rendezvous import rank, workers
from workbench.training.workers import work_off


def train(loop: Loop, to_onnx: Convert, config: dict[str, Any]) -> dict[str, bytes] | None:
    """What a worker gives: all fits of `loop`; `config` holds them, hyperparameters and the folds' encodings."""
    config["strategy"] = group(config["threads"])
    return work_off(loop, to_onnx, config["fits"], config["hyper"].epochs, config)


def group(threads: int = 1) -> Any:
    """The strategy of all workers together; TensorFlow reads who they are from the environment."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    task = {"type": "worker", "index": rank()}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers()}, "task": task})
    return tf.distribute.MultiWorkerMirroredStrategy()


def fit_network(
    build: Callable[[], Any],
    shard: Rows,
    scored: Rows | None,
    steps: int,
    fit: Fit,
    config: Any,
    start: Partial | None,
    report: Report,
) -> Fitted:
    """The network of `build` after `steps` epochs; see `models/keras_mlp.py` for what a network offers."""
    hyper, plan = config["hyper"], batches.Plan(shard, config["rows"][fit.fold], config["hyper"].batch_size)
    with config["strategy"].scope():
        network = build()
        optimizer = keras.optimizers.AdamW(hyper.learning_rate, weight_decay=hyper.weight_decay)
        optimizer.build(network.model.trainable_variables)
    fitted, first = _restore(start, network, optimizer)
    step_function = _step_function(config["strategy"], network, optimizer, hyper)
    data = (*network.seen(shard.x_NF), shard.y_N)
    scorer = tf.function(lambda *seen: network.looked_up(seen, training=False))
    judged = network.seen(scored.x_NF) if scored else None
    for epoch in range(first + 1, steps + 1):
        losses = _epoch(
            network, step_function, optimizer, data, plan, hyper, batches.Seed(fit.seed, epoch, config["epochs"])
        )
        loss = batches.check(losses, network.model.get_weights(), fit, epoch)
        _score(scorer, judged, scored, epoch, loss, fitted)
        report(epoch, fitted, lambda: _state(network, optimizer))
    fitted.model = network.to_bytes()
    return fitted


def _step_function(strategy: Any, network: Any, optimizer: Any, hyper: NetworkConfig) -> Any:
    variables = network.model.trainable_variables
    shapes = [tuple(one.shape) for one in variables]
    sizes = [int(np.prod(shape)) for shape in shapes]
    workers = strategy.num_replicas_in_sync

    def replica_step(*inputs: Any) -> Any:
        *seen, y = inputs
        with tf.GradientTape() as tape:
            logits = network.looked_up(seen, training=True)
            loss = tf.reduce_mean(keras_losses.loss_N(logits, y, hyper))
        gradients = [tf.convert_to_tensor(one) for one in tape.gradient(loss, variables)]  # of rows looked up: slices
        flat = tf.concat([tf.reshape(one, [-1]) for one in gradients], axis=0)
        mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, flat) / workers
        parts = [tf.reshape(part, shape) for part, shape in zip(tf.split(mean, sizes), shapes, strict=True)]
        optimizer.apply(parts, variables)
        return loss

    return tf.function(lambda *inputs: strategy.run(replica_step, args=inputs))


def _seed_dropout(network: Any, number: int) -> None:
    for place, layer in enumerate(network.model.layers):
        if generator := getattr(layer, "seed_generator", None):
            generator.state.assign([number, place])


def _epoch(
    network: Any,
    step_function: Any,
    optimizer: Any,
    data: Sequence[Any],
    plan: batches.Plan,
    hyper: NetworkConfig,
    seed: batches.Seed,
) -> batches.Losses:
    """The losses of one pass over the rows."""
    _seed_dropout(network, seed.number(rank()))  # it differs between the workers, and is the same after a restart
    losses = batches.Losses()
    for step, rows in enumerate(plan.epoch(seed)):
        optimizer.learning_rate.assign(hyper.learning_rate * seed.cosine(step, plan.steps))
        losses.add(float(step_function(*(tf.constant(one[rows]) for one in data))))
    return losses


def _score(scorer: Any, judged: Any, scored: Rows | None, epoch: int, loss: float, fitted: Fitted) -> None:
    if scored is None:
        fitted.steps.append(epoch)
        return
    parts = [np.asarray(scorer(*part)) for part in batches.parts(*judged)]
    batches.record(fitted, epoch, loss, scored, np.concatenate(parts))


def _state(network: Any, optimizer: Any) -> dict[str, bytes]:
    return {"network": network.to_bytes(), "optimizer": _packed(optimizer.variables)}


def _restore(start: Partial | None, network: Any, optimizer: Any) -> tuple[Fitted, int]:
    if start is None:
        return Fitted(), 0
    network.model.set_weights(keras_inputs.from_bytes(start.state["network"])[1])
    for variable, value in zip(optimizer.variables, _unpacked(start.state["optimizer"]), strict=True):
        variable.assign(value)
    return start.fitted, start.step


def _packed(arrays: Sequence[Any]) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **{f"{i:03d}": np.asarray(one) for i, one in enumerate(arrays)})
    return sink.getvalue()


def _unpacked(content: bytes) -> list[np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return [stored[name] for name in sorted(stored.files)]
