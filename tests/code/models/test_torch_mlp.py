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


def selected(features: int) -> dict[str, Any]:
    """A network without embeddings: its operators, and its log-odds by the file and by the graph."""
    import onnx

    from workbench.models import torch_inputs, torch_mlp

    torch_inputs.torch.manual_seed(0)
    x_NF = np.random.default_rng(1).lognormal(2, 1, (300, features)).astype(np.float32)
    x_NF[0] = np.finfo(np.float32).max  # times zero it is still nothing
    network = torch_mlp.Network(Encoding.of(x_NF[1:], (x_NF[1:, 0] > 8).astype(np.float32), 8, 4), [8], 0.0, {}).eval()
    content = torch_mlp.to_onnx(torch_mlp.to_bytes(network), features)
    scored = Scorer(graph.merge({"mlp": content}, [1.0], 0.0, features)).score(x_NF).logit_N
    operators = {node.op_type for node in onnx.load_from_string(content).graph.node}
    return {"operators": operators, "file": torch_mlp.logits(torch_mlp.to_bytes(network), x_NF), "graph": scored}


@pytest.fixture(scope="module")
def found(ray_session: None) -> dict[str, Any]:
    """What `asked` gives; PyTorch stays out of this process."""
    return dict(ray.get(ray.remote(max_calls=1)(asked).remote()))


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


@pytest.mark.parametrize(("features", "way"), [(4, "MatMul"), (40, "Gather")])
def test_a_graph_of_few_features_multiplies_where_one_of_many_looks_up_and_scores_alike(
    ray_session: None, features: int, way: str
) -> None:
    got = ray.get(ray.remote(max_calls=1)(selected).remote(features))
    assert {"MatMul", "Gather"} & got["operators"] == {way}
    np.testing.assert_allclose(got["graph"], got["file"], atol=1e-5)
