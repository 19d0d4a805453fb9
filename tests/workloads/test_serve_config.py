"""The file for `serve deploy` is what Ray's own schema takes, gives the same settings again, and holds many at once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from ray.serve.schema import LoggingConfig, ServeDeploySchema

from serve import app
from serve.settings import Settings
from tests.serve import small
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError
from workbench.governance.keys import Keys
from workloads import door, serve_config
from workloads.endpoint.given import settings_of


@pytest.fixture
def version(store: Store, tmp_path: Path) -> Artifact:
    small.settings(store, tmp_path)
    return store.get("models", "v1")


def configured(store: Store, experiment: str, *overrides: str) -> door.Config:
    return door.composed([f"experiment={experiment}", f"storage.root={store.root}", *overrides])


REPLICAS = ["serve.state=redis", "serve.replicas=2", "serve.running.autoscaling.replicas=6"]


@pytest.mark.parametrize("overrides", [[], REPLICAS, ["serve.running.log_requests=true", "serve.running.drain_s=0.5"]])
def test_rays_own_schema_takes_it_and_the_settings_come_back(
    store: Store, version: Artifact, overrides: list[str]
) -> None:
    cfg = configured(store, "payments", *overrides)
    said = yaml.safe_load(yaml.safe_dump(serve_config.described(cfg, version)))
    taken = ServeDeploySchema.model_validate(said)
    (application,) = taken.applications
    (deployment,) = application.deployments
    assert (taken.http_options.host, taken.http_options.port) == ("127.0.0.1", 8000)
    assert deployment.max_queued_requests == cfg.serve.max_queued_requests
    assert deployment.backpressure_config.model_dump() == {"status_code": 503, "retry_after_s": 1.0}
    assert deployment.graceful_shutdown_timeout_s == cfg.serve.running.drain_s
    assert deployment.logging_config.encoding == LoggingConfig(encoding="JSON").encoding
    settings = msgspec.convert(application.args["settings"], Settings, strict=False)
    assert settings == settings_of(cfg, version, follows=True)
    assert application.import_path == "serve.app:build"
    assert callable(app.build)


def test_load_scales_between_the_replicas_that_are_said(store: Store, version: Artifact) -> None:
    cfg = configured(store, "payments", *REPLICAS)
    (said,) = serve_config.described(cfg, version)["applications"]
    (deployment,) = ServeDeploySchema.model_validate(serve_config.described(cfg, version)).applications[0].deployments
    scaled: Any = deployment.autoscaling_config
    assert (scaled["min_replicas"], scaled["max_replicas"]) == (2, 6)
    assert "num_replicas" not in said["deployments"][0]


def test_no_secret_is_in_it(store: Store, version: Artifact) -> None:
    text = yaml.safe_dump(serve_config.described(configured(store, "payments"), version))
    keys = Keys(settings_of(configured(store, "payments"), version).keys_folder)
    secrets = (keys.api(), keys.pseudonym().hex(), keys.signing().private_bytes_raw().hex())
    assert [one for one in secrets if one in text] == []


def test_a_file_holds_several_applications_each_with_a_prefix_of_its_own(
    store: Store, version: Artifact, tmp_path: Path
) -> None:
    path, found = tmp_path / "serve.yaml", dict[str, Any]()
    for overrides in (
        ["payments"],
        ["credit", "serve.running.route_prefix=/credit"],
        ["payments", "serve.cpus_per_replica=1"],
    ):
        found = serve_config.merged(found, serve_config.described(configured(store, *overrides), version), path)
    taken = ServeDeploySchema.model_validate(found)
    assert {one.name: one.route_prefix for one in taken.applications} == {"payments": "/", "credit": "/credit"}
    with pytest.raises(ConfigError, match=r"route_prefix=/ is payments's .*serve.running.route_prefix=/credit\."):
        serve_config.merged(found, serve_config.described(configured(store, "credit"), version), path)
    other = serve_config.described(configured(store, "payments", "serve.port=9999"), version)
    with pytest.raises(ConfigError, match="one cluster has one"):
        serve_config.merged(found, other, path)


@pytest.mark.parametrize("text", ["", "no: file", "applications: 3", "{", "a: b: c"])
def test_another_file_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"is no file for `serve deploy`\. Move it away"):
        serve_config._read(path)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("serve.running.autoscaling.replicas=3", "Use serve.state=redis, which replicas share"),
        ("serve.running.route_prefix=credit", "is no prefix"),
        ("serve.running.route_prefix=/credit/", "is no prefix"),
        ("serve.running.cores=[0,0]", "named once"),
        ("serve.running.drain_s=0", "must be greater than 0"),
    ],
)
def test_what_cannot_run_is_refused(override: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        door.composed(["experiment=payments", override])
