"""Both frameworks make the same small: the log loss, or the focal one, with positives weighed."""

import dataclasses

import numpy as np
import pytest
import ray

from workbench.families import NetworkConfig

pytestmark = pytest.mark.usefixtures("ray_session")
Z = np.array([-200, -30, -2, 0, 0.5, 3, 40, 200], np.float32)
CASES = [
    NetworkConfig(),
    NetworkConfig(positive_weight=25.0),
    NetworkConfig(loss="focal", focal_gamma=2.0, positive_weight=3.0),
    NetworkConfig(loss="focal", focal_gamma=0.5),
    NetworkConfig(loss="focal", focal_gamma=0.0),
]
Pairs = list[tuple[np.ndarray, np.ndarray]]


def in_torch(cases: list[NetworkConfig], y: float) -> Pairs:
    """Losses and their slopes."""
    import torch

    from workbench.training.torch_losses import loss_N

    found = []
    for hyper in cases:
        z_N = torch.from_numpy(Z.copy()).requires_grad_()
        loss = loss_N(z_N, torch.full((len(Z),), y), hyper)
        loss.sum().backward()
        found.append((loss.detach().numpy(), z_N.grad.numpy()))
    return found


def in_tensorflow(cases: list[NetworkConfig], y: float) -> Pairs:
    """The same by Keras' side."""
    import tensorflow as tf

    from workbench.training.keras_losses import loss_N

    found = []
    for hyper in cases:
        z_N = tf.Variable(Z)
        with tf.GradientTape() as tape:
            loss = loss_N(z_N, tf.fill([len(Z)], y), hyper)
        found.append((loss.numpy(), tape.gradient(loss, z_N).numpy()))
    return found


def by_the_formula(hyper: NetworkConfig, y: float) -> np.ndarray:
    right = Z.astype(np.float64) if y else -Z.astype(np.float64)
    log = np.logaddexp(0, -right)
    gamma = hyper.focal_gamma if hyper.loss == "focal" else 0
    return (hyper.positive_weight if y else 1) * log * (1 / (1 + np.exp(right))) ** gamma


@pytest.mark.parametrize("framework", [in_torch, in_tensorflow])
def test_losses_are_those_of_the_formula_and_their_slopes_finite(framework: object) -> None:
    alone = ray.remote(max_calls=1)(framework)
    for y, asked in [(y, alone.remote(CASES, y)) for y in (0.0, 1.0)]:
        for hyper, (loss, slope) in zip(CASES, ray.get(asked), strict=True):
            np.testing.assert_allclose(loss, by_the_formula(hyper, y), rtol=1e-5, atol=1e-12)
            assert np.isfinite(slope).all(), dataclasses.asdict(hyper)
