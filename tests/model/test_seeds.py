"""A seed is all the chance there is: the same one gives the same model to the last byte, another one another model."""

import dataclasses

import numpy as np
import pytest
import ray

from tests.model.shipped import Array, Shipped, trees
from workbench.evaluation import protocol
from workbench.models import graph
from workbench.models.scorer import Scorer
from workbench.training.families import train_each
from workbench.training.fits import Fold
from workbench.training.trained import Trained

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module")
def networks(ray_session: None, shipped: Shipped) -> Trained:
    """The family whose randomness is spread widest (layers, dropout and batches), on two folds of the same rows."""
    cfg, family = shipped.cfg, "keras_mlp"
    short = dataclasses.replace(cfg.train.keras_mlp, epochs=2, dropout=0.2)
    train = dataclasses.replace(cfg.train, families=[family], seeds=[0, 1], keras_mlp=short)
    select = protocol.of(cfg, shipped.features).select[0]
    folds = [select, Fold("one", select.train), Fold("twin", select.train)]
    return train_each(shipped.features, shipped.names, cfg.data.id, folds, train, cfg.scaling, "seeds")[family]


def scored(shipped: Shipped, graph_of_member: bytes) -> Array:
    return Scorer(graph.merge({"one": graph_of_member}, [1.0], 0.0, shipped.width)).score(shipped.x_NF[:5000]).logit_N


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_of_the_same_rows_and_seed_is_the_same_to_the_last_byte(
    shipped: Shipped, networks: Trained, seed: int
) -> None:
    one, twin = (networks.fits[fold, seed] for fold in ("one", "twin"))
    assert one.model == twin.model
    np.testing.assert_array_equal(scored(shipped, one.onnx), scored(shipped, twin.onnx))


def test_a_network_of_another_seed_is_another(shipped: Shipped, networks: Trained) -> None:
    first, other = (scored(shipped, networks.fits["one", seed].onnx) for seed in (0, 1))
    assert np.mean(first != other) > 0.9


def test_trees_that_sample_are_the_same_for_the_same_seed_only(shipped: Shipped) -> None:
    sampling = dataclasses.replace(shipped.cfg.train.xgboost, subsample=0.5, rounds=20)
    x_NF, label_N = shipped.x_NF[:5000], shipped.label_N[:5000]
    first, again, other = ray.get(ray.remote(max_calls=1)(trees).remote(x_NF, label_N, sampling, seeds=(0, 0, 1)))
    assert first == again
    assert first != other
