"""What a sequence network looks at, and what it does not."""

import importlib
from typing import Any

import numpy as np
import pytest
import ray

from workbench.models.encoding import Encoding
from workbench.models.steps import Layout

BODIES = {"lstm": "Recurrent", "lstm_attention": "Attentive", "transformer": "Transformer"}
NAMES = ["amount", "risk", *(f"{one}_{back}_back" for back in (1, 2, 3) for one in ("amount", "elapsed"))]
RANDOM = np.random.default_rng(0)
ALL = RANDOM.lognormal(3, 1, (200, len(NAMES))).astype(np.float32)  # every step is there
Y = (ALL[:, 0] > 40).astype(np.float32)


def changed(x_NF: np.ndarray, **columns: float) -> np.ndarray:
    """The same rows with some columns replaced."""
    copy = x_NF.copy()
    for name, value in columns.items():
        copy[:, NAMES.index(name)] = value
    return copy


NONE = changed(ALL, elapsed_2_back=-1, elapsed_3_back=-1, amount_2_back=0, amount_3_back=0)  # the newest only


def facts(family: str) -> dict[str, Any]:
    """Log-odds of one network of random weights for several inputs, each from a file."""
    from workbench.models import sequences

    module, layout = importlib.import_module(f"workbench.models.{family}"), Layout.of(NAMES)
    torch = sequences.torch
    torch.manual_seed(0)
    encoding = Encoding.of(ALL[:, [NAMES.index(one) for one in layout.encoded]], Y, 8, 4)
    own, step = encoding.take(range(len(layout.own))), layout.step_inputs
    standard = (encoding.mean[step], encoding.scale[step])
    shape = sequences.Shape((16, 8), width=8, layers=2, heads=2, steps=4, dropout=0.5)
    body = getattr(module, BODIES[family])
    network = sequences.Network(own, standard, (layout.own_places, layout.places_TS), body, shape).eval()
    content = module.to_bytes(network)
    asked = {
        "all": ALL,
        "older": changed(ALL, amount_3_back=900),
        "later": changed(ALL, elapsed_3_back=9e6),
        "none": NONE,
        "none_changed": changed(NONE, amount_3_back=900, amount_2_back=7),
        "there": changed(NONE, elapsed_2_back=60, elapsed_3_back=90),
    }
    seen = tuple(map(torch.from_numpy, network.seen(NONE)))
    with torch.no_grad():
        looked = {"none": network.looked_up(*seen).numpy(), "network": network(torch.from_numpy(NONE)).numpy()}
    return {"logits": {name: module.logits(content, x) for name, x in asked.items()}, "looked_up": looked}


def states() -> dict[str, np.ndarray]:
    """What a transformer says of every step, before and after a step was changed; and where one is missing."""
    from workbench.models import sequences, transformer

    torch = sequences.torch
    torch.manual_seed(0)
    body = transformer.Transformer(sequences.Shape((8,), width=8, layers=2, heads=2, steps=4)).eval()
    tokens, there = torch.randn(5, 4, 8), torch.ones(5, 4, dtype=torch.bool)
    other = tokens.clone()
    other[:, 2] = torch.randn(5, 8)
    with torch.no_grad():
        return {"before": body.states(tokens, there).numpy(), "after": body.states(other, there).numpy()}


@pytest.fixture(scope="module")
def found(ray_session: None) -> dict[str, Any]:
    """The facts of every family; PyTorch stays out of this process."""
    ask = ray.remote(lambda: {family: facts(family) for family in BODIES} | {"states": states()})
    return dict(ray.get(ask.options(max_calls=1).remote()))


@pytest.mark.parametrize("family", BODIES)
def test_a_network_trains_on_the_log_odds_that_its_file_scores(found: dict[str, Any], family: str) -> None:
    one = found[family]
    assert np.std(one["logits"]["none"]) > 0
    np.testing.assert_allclose(one["looked_up"]["none"], one["looked_up"]["network"], atol=1e-5)
    np.testing.assert_allclose(one["looked_up"]["none"], one["logits"]["none"], atol=1e-5)


@pytest.mark.parametrize("family", BODIES)
@pytest.mark.parametrize("change", ["older", "later"])
def test_the_oldest_step_counts_and_so_does_its_time(found: dict[str, Any], family: str, change: str) -> None:
    logits = found[family]["logits"]
    assert np.all(logits[change] != logits["all"])


@pytest.mark.parametrize("family", BODIES)
def test_what_a_missing_step_holds_is_not_looked_at(found: dict[str, Any], family: str) -> None:
    logits = found[family]["logits"]
    np.testing.assert_array_equal(logits["none_changed"], logits["none"])


@pytest.mark.parametrize("family", BODIES)
def test_a_step_that_is_missing_is_not_one_of_zeros(found: dict[str, Any], family: str) -> None:
    logits = found[family]["logits"]
    assert np.all(logits["there"] != logits["none"])


def test_no_step_of_a_transformer_sees_a_later_one(found: dict[str, Any]) -> None:
    before, after = found["states"]["before"], found["states"]["after"]
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    assert np.all(np.abs(after[:, 2:] - before[:, 2:]).max(axis=2) > 1e-4), "the step itself and the later one do"
