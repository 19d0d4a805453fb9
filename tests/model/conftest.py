"""What the loop's one run shipped, for all tests of how a model behaves."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.model.shipped import MODELS, Model, Shipped


@pytest.fixture(scope="session")
def shipped(first: CompletedProcess[str], folder: Path) -> Shipped:
    return Shipped(folder)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, shipped: Shipped) -> Model:
    """The shipped mixture, then each family alone."""
    return shipped.models[request.param]
