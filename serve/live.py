"""What is live: each model with what it decides by, and since when."""

from typing import Any

import pyarrow.compute as pc

from serve.service import Service
from workbench.data.tables import Table
from workbench.models.bundle import Bundle
from workbench.release import ledger


def models(service: Service) -> dict[str, Any]:
    """The models of this replica by their aliases. This reads the release ledger."""
    since, there = _since(service), service.models
    canary = [("canary", there.canary)] if there.canary else []
    live = [("champion", there.champion), *canary, *(("shadow", one) for one in there.shadows)]
    percents = {"champion": 100 - there.percent, "canary": there.percent, "shadow": 0}
    listed = [
        {"alias": alias, "percent": percents[alias], **_about(bundle), "since": since.get(bundle.version)}
        for alias, bundle in live
    ]
    return {"application": service.settings.application, "models": listed}


def _about(bundle: Bundle) -> dict[str, Any]:
    return {
        "version": bundle.version,
        "threshold": bundle.threshold,
        "members": dict(zip(bundle.members, bundle.weights, strict=True)),
        "features": len(bundle.feature_set.names),
        "feature_view_version": bundle.feature_set.digest,
    }


def _since(service: Service) -> dict[str, str]:
    """When the ledger last said something of each version; a version that was deployed by hand is not in it."""
    table = Table(service.store, ledger.TABLE)
    if not table.exists():
        return {}
    rows = table.read(["version", "at"], pc.field("application") == service.settings.application).sort_by("at")
    return {row["version"]: row["at"].isoformat().replace("+00:00", "Z") for row in rows.to_pylist()}
