"""Prometheus reads what was asked, refused and decided, of all replicas, told apart by model version and replica."""

import dataclasses
import json
import logging
import os
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve import metrics
from serve.endpoint import Endpoint
from tests.serve.small import EVENT, settings
from tests.serve.test_endpoint import call
from workbench.data.store import Store


@pytest.fixture
def endpoint(store: Store, tmp_path: Path) -> Endpoint:
    return Endpoint(settings(store, tmp_path))


async def read(endpoint: Endpoint) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Every sample by its name, as Prometheus reads them."""
    response = await call(endpoint, "/metrics", method="GET")
    assert response.headers["content-type"] == metrics.CONTENT_TYPE
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(bytes(response.body).decode()):
        for one in family.samples:
            samples.setdefault(one.name, []).append((one.labels, one.value))
    return samples


def value(samples: dict[str, list[tuple[dict[str, str], float]]], name: str, **labels: str) -> float:
    return sum(number for said, number in samples[name] if labels.items() <= said.items())


async def test_requests_refusals_and_decisions_are_counted_by_route_status_and_model(endpoint: Endpoint) -> None:
    for amount in (1, 1, 2):
        await call(endpoint, "/v1/score", [json.dumps({**EVENT, "amount": amount}).encode()])
    await call(endpoint, "/v1/score", [b"{}"], authorization=None)
    await call(endpoint, "/nothing/SECRET")
    samples = await read(endpoint)
    score = {"route": "/v1/score", "model_version": "v1"}
    counts = {status: value(samples, "workbench_requests_total", status=status, **score) for status in ("200", "401")}
    assert counts == {"200": 2, "401": 1}
    assert value(samples, "workbench_refusals_total", code="conflict") == 1
    assert value(samples, "workbench_requests_total", route="none", status="404") == 1
    assert value(samples, "workbench_decisions_total", model_version="v1") == 1, "one event was decided on"
    assert value(samples, "workbench_request_seconds_count", **score) == 4
    assert value(samples, "workbench_request_seconds_bucket", le="+Inf", **score) == 4
    assert "SECRET" not in str(samples)


async def test_journal_state_and_model_are_looked_at_when_asked(endpoint: Endpoint) -> None:
    await call(endpoint, "/v1/score", [json.dumps(EVENT).encode()])
    samples = await read(endpoint)
    size = sum(path.stat().st_size for path in endpoint.settings.folder.glob("predictions-*"))
    assert value(samples, "workbench_journal_bytes", kind="predictions") == size > 0
    assert value(samples, "workbench_state_events") == 1
    assert value(samples, "workbench_model_info", model_version="v1") == 1
    assert value(samples, "workbench_requests_in_progress") == 1, "this very one"
    endpoint.service.compact()
    assert value(await read(endpoint), "workbench_journal_bytes", kind="predictions") == 0


async def test_whoever_is_asked_tells_of_all_replicas_that_live(endpoint: Endpoint) -> None:
    folder = endpoint.settings.folder
    other = Endpoint(dataclasses.replace(endpoint.settings, application="other"))
    await call(other, "/v1/score", [json.dumps(EVENT).encode()])
    text = metrics.generate_latest(other.metrics._own)
    for name, age_s in (("other", 0), ("gone", metrics.STALE_S + 5)):
        path = folder / f"{name}{metrics.SUFFIX}"
        path.write_bytes(text)
        os.utime(path, (time.time() - age_s,) * 2)
    samples = await read(endpoint)
    replicas = {labels["replica"] for labels, _ in samples["workbench_state_events"]}
    assert replicas == {endpoint.metrics._name, "other"}
    assert value(samples, "workbench_requests_total", replica="other", route="/v1/score") == 1
    assert not (folder / f"gone{metrics.SUFFIX}").exists()


async def test_a_line_for_each_request_names_its_id_and_nothing_that_was_sent(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = Endpoint(dataclasses.replace(settings(store, tmp_path), log_requests=True))
    logger = logging.getLogger("ray.serve")
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    await call(endpoint, "/v1/score", [json.dumps({**EVENT, "SECRET": 1}).encode()], x_request_id="mine")
    logger.removeHandler(caplog.handler)
    (line,) = {id(one): one.__dict__ for one in caplog.records if one.getMessage() == "answered"}.values()
    assert (line["answer_id"], line["path"], line["status"]) == ("mine", "/v1/score", 422)
    assert line["ms"] > 0
    assert "SECRET" not in str(line)
