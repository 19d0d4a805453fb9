"""The wide part of wide & deep: curves and cells, the same in training and in the file."""

from typing import Any

import numpy as np
import pytest
import ray

from workbench.models.encoding import Encoding

X = np.random.default_rng(0).lognormal(3, 1, (500, 3)).astype(np.float32)
X[:, 2] = np.arange(500) % 2  # two values: fewer bins than there are wanted
Y = (X[:, 0] > 40).astype(np.float32)


def asked(pairs: list[list[int]]) -> dict[str, Any]:
    """A network of random weights: its log-odds in three ways, and the cells of the rows."""
    from workbench.models import keras_wide_deep

    random, encoding = np.random.default_rng(0), Encoding.of(X, Y, 16, 4)
    network = keras_wide_deep.Network(encoding, [16, 8], 0.5, 0, np.array(pairs, np.int64).reshape(-1, 2), 4)
    network.model.set_weights([random.normal(0, 0.3, one.shape) for one in network.model.get_weights()])
    seen = network.seen(X)
    return {
        "edges": [keras_wide_deep.coarse_edges(encoding, one, 4) for one in range(3)],
        "cells": seen[3] if pairs else None,
        "looked_up": np.asarray(network.looked_up(seen, training=False)),
        "model": np.asarray(network.model(X))[:, 0],
        "file": keras_wide_deep.logits(network.to_bytes(), X),
    }


@pytest.fixture(scope="module")
def found(ray_session: None) -> dict[str, dict[str, Any]]:
    """With two crosses, and without; TensorFlow stays out of this process."""
    ask = ray.remote(lambda: {"crossed": asked([[0, 1], [2, 0]]), "plain": asked([])})
    return dict(ray.get(ask.options(max_calls=1).remote()))


@pytest.mark.parametrize("kind", ["crossed", "plain"])
def test_a_network_trains_on_the_log_odds_that_its_file_scores(found: dict[str, dict[str, Any]], kind: str) -> None:
    one = found[kind]
    assert np.std(one["model"]) > 0
    np.testing.assert_allclose(one["looked_up"], one["model"], atol=1e-4)
    np.testing.assert_allclose(one["file"], one["model"], atol=1e-6)


def test_a_cell_is_a_bin_of_the_one_and_a_bin_of_the_other(found: dict[str, dict[str, Any]]) -> None:
    edges, cells_NP = found["crossed"]["edges"], found["crossed"]["cells"]
    bins = [np.searchsorted(edge, X[:, one], side="right") for one, edge in enumerate(edges)]
    np.testing.assert_array_equal(cells_NP[:, 0], bins[0] * 4 + bins[1])
    np.testing.assert_array_equal(cells_NP[:, 1], 16 + bins[2] * 4 + bins[0])
    assert set(bins[0]) == {0, 1, 2, 3}
    assert len(set(bins[2])) == 2
