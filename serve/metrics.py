"""Prometheus metrics of an application, whichever of its replicas is asked.

`prometheus_client` and not Ray's own metrics: what is said here is said behind the endpoint's key, at once and for all
replicas of a machine together, where Ray's agents show it without a key, after seconds, and node by node. Replicas that
share a state write what they know beside the journal every few seconds; whoever is asked adds the others' to its own.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from serve import journal
from serve.answers import CODES
from serve.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SUFFIX, STALE_S = ".prom", 30.0
log = logging.getLogger("ray.serve")


class Timed:
    """One request, from its start to its end: a block that says what it was answered."""

    __slots__ = ("_about", "_metrics", "_started", "status")

    def __init__(self, metrics: "Metrics", about: tuple[str, str, str], came: float | None) -> None:
        self._metrics, self._about, self.status = metrics, about, 499  # whoever asked has gone
        self._started = time.perf_counter() if came is None else came

    def __enter__(self) -> "Timed":
        self._metrics.in_progress += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.in_progress -= 1
        self._metrics.ended(*self._about, self.status, time.perf_counter() - self._started)


class Metrics:
    """What a replica counts."""

    def __init__(self, service: Service, name: str, outside: Callable[[], int]) -> None:
        self._service, self._name, self._outside = service, name, outside
        self._file = service.settings.folder / f"{name}{SUFFIX}"
        self._own = CollectorRegistry()
        self.in_progress = 0
        self._requests = Counter(
            "workbench_requests", "Requests", ["route", "status", "model_version"], registry=self._own
        )
        self._refusals = Counter("workbench_refusals", "Refused requests", ["route", "code"], registry=self._own)
        self._seconds = Histogram(
            "workbench_request_seconds", "Time to the answer", ["route", "model_version"], buckets=SECONDS,
            registry=self._own,
        )  # fmt: skip
        self._decisions = Counter("workbench_decisions", "Decisions", ["model_version", "decision"], registry=self._own)
        self._known: dict[Any, Any] = {}  # a look at a labelled metric costs more than counting
        self._own.register(Now(self))
        if service.settings.redis_url is not None:
            threading.Thread(target=self._write_for_ever, name="metrics", daemon=True).start()

    def timed(self, method: str, route: str, request_id: str, came: float | None = None) -> Timed:
        """Count a request and its time, since now or since it came, and log it if that is wanted."""
        return Timed(self, (method, route, request_id), came)

    def ended(self, method: str, route: str, request_id: str, status: int, seconds: float) -> None:
        """A request is over."""
        self._note(route or "none", status, seconds)
        if self._service.settings.log_requests:
            about = {"answer_id": request_id, "method": method, "path": route, "status": status}
            log.info("answered", extra={**about, "ms": round(seconds * 1000, 3)})

    def _note(self, route: str, status: int, seconds: float) -> None:
        version = self._service.bundle.version
        requests, seconds_of = self._at(("request", route, status, version), lambda: (
            self._requests.labels(route, str(status), version), self._seconds.labels(route, version)
        ))  # fmt: skip
        requests.inc()
        seconds_of.observe(seconds)
        if code := CODES.get(status):
            self._at(("refusal", route, code), lambda: self._refusals.labels(route, code)).inc()

    def decided(self, version: str, decision: str) -> None:
        """Count a decision."""
        self._at(("decision", version, decision), lambda: self._decisions.labels(version, decision)).inc()

    def text(self) -> bytes:
        """All replicas' metrics in Prometheus' text format; each is told by its label `replica`."""
        shown = CollectorRegistry()
        shown.register(Merged([(self._name, generate_latest(self._own).decode()), *self._others()]))
        return generate_latest(shown)

    def now(self) -> Iterator[Metric]:
        """What is not counted, but looked at when it is asked for."""
        service = self._service
        bundle = service.bundle
        about = GaugeMetricFamily(
            "workbench_model_info", "The model that answers", labels=["model_version", "feature_view_version"]
        )
        about.add_metric([bundle.version, bundle.feature_set.digest], 1)
        backlog = GaugeMetricFamily(
            "workbench_journal_bytes", "What is recorded and not in the tables yet", labels=["kind"]
        )
        for kind, size in journal.backlog(service.settings.folder).items():
            backlog.add_metric([kind], size)
        yield from (about, backlog)
        waiting = self.in_progress + self._outside()
        yield GaugeMetricFamily("workbench_requests_in_progress", "Requests being answered, or waiting", value=waiting)
        with contextlib.suppress(Exception):  # a state that cannot be asked is told by /readyz
            with service.alone:
                events = len(service.state)
            yield GaugeMetricFamily("workbench_state_events", "Events that the feature state remembers", value=events)

    def _at(self, key: Any, make: Any) -> Any:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = make()
        return found

    def _others(self) -> Iterator[tuple[str, str]]:
        for path in self._file.parent.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()  # of a replica that is gone
                elif path != self._file:
                    yield path.stem, path.read_text()

    def _write_for_ever(self) -> None:
        while True:
            try:
                _replace(self._file, generate_latest(self._own))
            except OSError as error:  # a disk that is full now may have room again
                log.error("what other replicas are to tell of this one could not be written: %s", error)
            time.sleep(min(self._service.settings.compact_every_s, STALE_S / 3))


class Now(Collector):
    """What a replica looks at when it is asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self._metrics.now()

    def describe(self) -> Iterable[Metric]:
        """None: asking at registration would be too early."""
        return []


class Merged(Collector):
    """Several replicas' texts as one: a family once, its samples told apart by `replica`."""

    def __init__(self, texts: list[tuple[str, str]]) -> None:
        self._texts = texts

    def collect(self) -> Iterable[Metric]:
        """The families."""
        families: dict[str, Metric] = {}
        for replica, text in self._texts:
            for one in text_string_to_metric_families(text):
                family = families.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                for sample in one.samples:
                    family.add_sample(sample.name, {**sample.labels, "replica": replica}, sample.value)
        return families.values()


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)
