"""What is live is told with what it decides by, and since when the ledger says so."""

import json
from pathlib import Path

from serve.endpoint import Endpoint
from tests.serve.small import FEATURES, settings
from tests.serve.test_endpoint import call
from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.release import ledger


async def test_the_model_is_told_with_its_threshold_members_and_release(store: Store, tmp_path: Path) -> None:
    endpoint = Endpoint(settings(store, tmp_path))
    said = json.loads((await call(endpoint, "/v1/models", method="GET")).body)
    assert said == {
        "application": "small",
        "models": [
            {
                "alias": "champion", "percent": 100, "version": "v1", "threshold": 0.5, "members": {"linear": 1.0},
                "features": 3, "feature_view_version": FEATURES.digest, "since": None,
            }
        ],
    }  # fmt: skip
    for application in ("other", "small"):
        ledger.release(store, application, "v1", "a test")
    (model,) = json.loads((await call(endpoint, "/v1/models", method="GET")).body)["models"]
    newest = max(Table(store, ledger.TABLE).read(["at"])["at"].to_pylist())
    assert model["since"] == newest.isoformat().replace("+00:00", "Z")
