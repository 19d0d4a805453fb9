"""A score with its reasons: each feature's contribution, computed beside the scoring; the event is not counted.

An event that was answered before is explained by the features that it had then; a new one by those that it would get.
"""

from collections.abc import Callable
from typing import Any

import pyarrow.compute as pc

from serve import journal
from serve.answered import first
from serve.answers import Refusal
from serve.service import Question, Service
from workbench.feedback import prediction_log
from workbench.models.bundle import Bundle, members_of
from workbench.models.explanation import Explainer, Explanation

KEPT = 4  # explainers of versions that were live lately
Contributions = list[dict[str, Any]]
Reasons = Callable[[Contributions], list[dict[str, str]]]


def no_reasons(_: Contributions) -> list[dict[str, str]]:
    """None: which contributions are told to whom, and in which words, is the business's to say."""
    return []


class Explaining:
    """Explanations of the live model. `reasons` turns contributions, the largest first, into reason codes."""

    def __init__(self, service: Service, reasons: Reasons = no_reasons) -> None:
        self._service, self._reasons = service, reasons
        self._explainers: dict[str, Explainer] = {}

    def explain(self, question: Question) -> dict[str, Any]:
        """The answer. This reads files and takes some milliseconds of a core: it is for a thread of its own."""
        service, bundle = self._service, self._service.bundle
        features = self._features(question)
        found = self._explained(bundle, features)
        contributions = _listed(bundle, features, found)
        return {
            "request_id": question.request_id,
            "score": found.score,
            "decision": "flag" if found.score >= bundle.threshold else "pass",
            "model_version": bundle.version,
            "feature_view_version": service.state.feature_set.digest,
            "log_odds": found.log_odds,
            "base": found.base,
            "contributions": contributions,
            "members": _members(bundle, found),
            "reasons": self._reasons(contributions),
        }

    def _explained(self, bundle: Bundle, features: list[float]) -> Explanation:
        try:
            return self._explainer(bundle).explain(features)
        except ModuleNotFoundError as error:  # of an install that only serves
            raise Refusal(
                501,
                f"No {error.name} is installed here, which explains this model; it comes with ray-ai-workbench[train].",
            ) from None

    def _features(self, question: Question) -> list[float]:
        """As they were recorded with the first answer by this feature view, or else as they would be now."""
        service = self._service
        if known := service.answered.find(question.identity):
            known.to(question.text)
            if (recorded := _recorded(service, question.identity)) is not None:
                return recorded
        with service.alone:
            return service.state.peeked(question.values)

    def _explainer(self, bundle: Bundle) -> Explainer:
        found = self._explainers.get(bundle.version)
        if found is None:
            artifact = self._service.store.get("models", bundle.version)
            found = Explainer(bundle, members_of(artifact, self._service.public_key))
            self._explainers[bundle.version] = found
            if len(self._explainers) > KEPT:
                del self._explainers[next(iter(self._explainers))]
        return found


def _recorded(service: Service, identity: str) -> list[float] | None:
    """The features of the first answer, where they are of the view that is live."""
    waiting = [
        one for one in journal.records(service.settings.folder, "predictions", identity) if one["id"] == identity
    ]
    table = prediction_log.predictions(service.store, service.settings.log)
    columns = ["id", "as_of", "received_at", "features", "feature_view_version"]
    moved = table.read(columns, pc.field("id") == identity) if table.exists() else None
    rows = [*(prediction_log.first_answers(moved).to_pylist() if moved is not None else []), *waiting]
    record = first(rows)
    if record is None or record["feature_view_version"] != service.state.feature_set.digest:
        return None
    return list(record["features"])


def _listed(bundle: Bundle, features: list[float], found: Explanation) -> Contributions:
    each = zip(bundle.feature_set.names, features, found.contribution_F.tolist(), strict=True)
    listed = [{"feature": name, "value": value, "contribution": share} for name, value, share in each]
    return sorted(listed, key=lambda one: -abs(one["contribution"]))


def _members(bundle: Bundle, found: Explanation) -> list[dict[str, Any]]:
    weights = dict(zip(bundle.members, bundle.weights, strict=True))
    return [
        {"name": name, "weight": weights[name], "method": part.method, "exact": part.exact, "base": part.base}
        for name, part in found.members.items()
    ]
