"""Embeddings: every value that training knew has its own numbers, all others share some."""

from typing import Any

import numpy as np
import pytest
import ray

from workbench.models import graph
from workbench.models.encoding import Encoding
from workbench.models.scorer import Scorer
from workbench.models.vocabulary import Vocabulary

RANDOM = np.random.default_rng(0)
X = np.stack(
    [RANDOM.lognormal(3, 1, 400), RANDOM.integers(0, 37, 400) * 1000, RANDOM.lognormal(1, 1, 400), np.arange(400) % 3],
    axis=1,
).astype(np.float32)
SHOP, KIND = 1, 3
NEW = X.copy()
NEW[:200, SHOP] = 123_456
NEW[200:, SHOP] = -5


def asked() -> dict[str, Any]:
    """A network with two embeddings of random numbers: its graph, and its log-odds in three ways."""
    from workbench.models import torch_inputs, torch_mlp

    torch = torch_inputs.torch
    torch.manual_seed(0)
    encoding = Encoding.of(X[:, [0, 2]], (X[:, 0] > 40).astype(np.float32), 8, 4)
    embedded = {one: (Vocabulary.of(X[:, one]).values, 3) for one in (KIND, SHOP)}
    network = torch_mlp.Network(encoding, [16, 8], 0.5, embedded).eval()
    content, both = torch_mlp.to_bytes(network), np.concatenate([X, NEW])
    with torch.no_grad():
        looked_up = network.looked_up(*map(torch.from_numpy, network.seen(both))).numpy()
    return {"looked_up": looked_up, "file": torch_mlp.logits(content, both), "onnx": torch_mlp.to_onnx(content, 4)}


@pytest.fixture(scope="module")
def found(ray_session: None) -> dict[str, Any]:
    """What `asked` gives; PyTorch stays out of this process."""
    return dict(ray.get(ray.remote(asked).options(max_calls=1).remote()))


def test_embeddings_train_and_score_alike_in_training_in_the_file_and_in_the_graph(found: dict[str, Any]) -> None:
    scored = Scorer(graph.merge({"mlp": found["onnx"]}, [1.0], 0.0, 4)).score(np.concatenate([X, NEW])).logit_N
    assert np.std(found["file"][:400] - found["file"][400:]) > 1e-4, "shops count"
    np.testing.assert_allclose(found["looked_up"], found["file"], atol=1e-5)
    np.testing.assert_allclose(scored, found["file"], atol=1e-5)


def test_values_that_training_did_not_see_are_one_to_a_network(found: dict[str, Any]) -> None:
    swapped = NEW.copy()
    swapped[:, SHOP] = 77
    scorer = Scorer(graph.merge({"mlp": found["onnx"]}, [1.0], 0.0, 4))
    np.testing.assert_array_equal(scorer.score(swapped).logit_N, scorer.score(NEW).logit_N)
