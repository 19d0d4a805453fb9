"""Every route for every role, cell by cell; keys that end are refused within seconds; refusals are in the audit log."""

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve.access import Access
from serve.answers import CODES, Refusal
from serve.endpoint import Endpoint
from serve.known_keys import KnownKeys
from serve.principals import Asked, Roles
from serve.settings import Settings
from tests.serve.small import ACCESS, API_KEY, EVENT, settings
from tests.serve.test_endpoint import ROUTES, call, check_refusal
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.governance import audit
from workbench.governance.api_keys import Register
from workbench.governance.keys import api_key_digest

HOUR = dt.timedelta(hours=1)
TABLE = sorted({*ACCESS.open, *(route for routes in ACCESS.roles.values() for route in routes)})


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a folder of keys of their own, without WORKBENCH_API_KEY."""
    monkeypatch.delenv("WORKBENCH_API_KEY", raising=False)
    found = settings(Store(str(tmp_path / "store")), tmp_path)
    return replace(found, keys_folder=str(tmp_path / "keys"))


@pytest.fixture
def register(own: Settings) -> Register:
    return Register(own.keys_folder)


def key_of(register: Register, role: str, days: float = 1) -> str:
    """A new client's key in a role; the client has the role's name."""
    return register.add(role, role, dt.datetime.now(dt.UTC) + dt.timedelta(days=days))[1].read_text()


def answered(access: Access, route: str, key: str | None) -> int:
    """The status that the door gives."""
    try:
        access.admit(Asked("id", route), None if key is None else f"Bearer {key}")
    except Refusal as error:
        return error.status
    return 200


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> tuple[Access, dict[str, str]]:
    folder = tmp_path_factory.mktemp("table")
    keys = Register(str(folder / "keys"))
    held = {role: key_of(keys, role) for role in ACCESS.roles}
    found = settings(Store(str(folder / "store")), folder)
    return Access(replace(found, keys_folder=str(folder / "keys"))), held


class TestTable:
    """The table that is shipped."""

    @pytest.mark.parametrize("route", [*TABLE, "GET /v1/new", "POST /healthz"])
    @pytest.mark.parametrize("role", sorted(ACCESS.roles))
    def test_a_role_has_the_routes_of_its_row_and_no_other(
        self, door: tuple[Access, dict[str, str]], role: str, route: str
    ) -> None:
        access, held = door
        allowed = route in ACCESS.open or route in ACCESS.roles[role]
        assert answered(access, route, held[role]) == (200 if allowed else 403)

    @pytest.mark.parametrize("route", [*TABLE, "GET /v1/new"])
    @pytest.mark.parametrize("key", [None, "wb_wrong", ""])
    def test_without_a_key_what_is_open_is_open_and_all_else_is_closed(
        self, door: tuple[Access, dict[str, str]], route: str, key: str | None
    ) -> None:
        assert answered(door[0], route, key) == (200 if route in ACCESS.open else 401)

    def test_every_route_of_the_endpoint_is_in_it_and_no_other(self) -> None:
        assert {f"{method} {path}" for path, method in ROUTES.items()} == set(TABLE)

    def test_only_what_holds_no_data_is_open(self) -> None:
        assert ACCESS.open == ["GET /healthz", "GET /readyz", "GET /openapi.json"]

    def test_the_admin_has_every_row(self) -> None:
        assert {*ACCESS.roles["admin"], *ACCESS.open} == set(TABLE)


async def test_a_key_without_the_route_gets_403_in_the_one_shape_before_the_body_is_read(
    own: Settings, register: Register
) -> None:
    key = key_of(register, "feedback")
    endpoint = Endpoint(own)
    check_refusal(await call(endpoint, "/v1/score", [], authorization=f"Bearer {key}"), 403)
    check_refusal(await call(endpoint, "/v1/score", [], authorization=f"Bearer {key}x"), 401)
    body = json.dumps(EVENT).encode()
    assert (await call(endpoint, "/v1/score", [body])).status_code == 200, "the default key is the admin's"


@pytest.mark.parametrize("header", ["origin", "access-control-request-method"])
async def test_no_answer_lets_another_sites_script_read_it(own: Settings, header: str) -> None:
    endpoint = Endpoint(own)
    for method in ("OPTIONS", "POST"):
        answer = await call(endpoint, "/v1/score", [b"{}"], method, **{header: "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


def until(holds: Callable[[], bool], timeout_s: float = 5) -> bool:
    """Whether it holds within the time that a revocation may take."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class TestKeys:
    """What happens to keys while an endpoint lives."""

    @pytest.fixture
    def replicas(self, own: Settings) -> list[Access]:
        quick = replace(own, access=replace(own.access, watch_s=0.1))
        return [Access(quick), Access(quick)]

    def test_a_new_key_is_taken_and_a_revoked_one_refused_by_all_replicas_without_a_restart(
        self, replicas: list[Access], register: Register
    ) -> None:
        key = key_of(register, "scorer")
        for status, act in ((200, None), (401, register.revoke)):
            if act is not None:
                act("scorer", None, "admin")
            assert until(lambda s=status: [answered(r, "POST /v1/score", key) for r in replicas] == [s, s])

    def test_the_default_key_can_be_exchanged_and_taken_away_while_it_lives(
        self, own: Settings, register: Register
    ) -> None:
        first = register.secrets.api()
        given = replace(own, api_key_digest=api_key_digest(first), access=replace(own.access, watch_s=0.1))
        access = Access(given)
        assert (answered(access, "POST /v1/score", first), access.default_digest) == (200, api_key_digest(first))
        register.rotate("default", None, HOUR, "admin")
        second = register.secrets.api()
        assert until(lambda: answered(access, "POST /v1/score", second) == 200)
        assert answered(access, "POST /v1/score", first) == 200, "the overlap"
        assert access.default_digest == api_key_digest(second), "it proves itself to who has the new one"
        register.revoke("default", "first", "admin")
        assert until(lambda: answered(access, "POST /v1/score", first) == 401)
        assert answered(access, "POST /v1/score", second) == 200
        assert replace(given, api_key_digest="another").identity == given.identity

    def test_a_key_ends_at_its_time_without_anybody_looking(self, own: Settings, register: Register) -> None:
        key, short = key_of(register, "scorer"), key_of(register, "analyst", days=1.5 / 86_400)
        access = Access(own)
        assert answered(access, "POST /v1/score", key) == 200
        assert until(lambda: answered(access, "POST /v1/explain", short) == 401)
        assert answered(access, "POST /v1/score", key) == 200

    def test_a_role_that_is_no_longer_in_the_table_has_nothing(self, own: Settings, register: Register) -> None:
        key = key_of(register, "scorer")
        left = {role: routes for role, routes in own.access.roles.items() if role != "scorer"}
        access = Access(replace(own, access=replace(own.access, roles=left)))
        assert answered(access, "POST /v1/score", key) == 403

    def test_a_file_that_is_damaged_or_gone_changes_nothing_and_is_told_once(
        self, own: Settings, register: Register, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept, gone = key_of(register, "scorer"), key_of(register, "analyst")
        register.revoke("analyst", None, "admin")
        keys = KnownKeys(own.keys_folder, own.api_key_digest, "admin", Roles(own.access))
        before, text = keys.by_digest, register.path.read_text()
        for change in (lambda: register.path.write_text("{"), register.path.unlink):
            change()
            with caplog.at_level(logging.ERROR, "ray.serve"):
                keys.look()
                keys.look()
            assert keys.by_digest is before
        assert len(caplog.records) == 2
        register.path.write_text(text)
        keys.look()
        assert {api_key_digest(one) for one in (kept, gone)} <= set(keys.by_digest)
        assert keys.by_digest[api_key_digest(gone)].until <= time.time()

    def test_a_damaged_file_starts_nothing(self, own: Settings, register: Register) -> None:
        key_of(register, "scorer")
        register.path.write_text("{")
        with pytest.raises(EnvironmentFault, match="is damaged"):
            Access(own)

    def test_a_mounted_secret_that_is_exchanged_by_a_link_is_seen(self, own: Settings, register: Register) -> None:
        key = key_of(register, "scorer")
        text = register.path.read_text()
        folder = register.path.parent
        for name, content in (("one", '{"keys": []}'), ("two", text)):
            (folder / name).mkdir()
            (folder / name / "keys").write_text(content)
            (folder / name / "keys").chmod(0o440)
        (folder / "now").symlink_to("one")
        register.path.unlink()
        register.path.symlink_to("now/keys")
        keys = KnownKeys(own.keys_folder, own.api_key_digest, "admin", Roles(own.access))
        assert api_key_digest(key) not in keys.by_digest
        (folder / "next").symlink_to("two")
        (folder / "next").rename(folder / "now")
        keys.look()
        assert api_key_digest(key) in keys.by_digest


REFUSED: dict[int, tuple[str, dict[str, Any], str, str]] = {
    400: ("/v1/score", {"parts": [b"{SECRET"]}, "default", "POST /v1/score"),
    401: ("/v1/score", {"authorization": "Bearer SECRET"}, "-", "POST /v1/score"),
    404: ("/SECRET", {}, "-", "unknown"),
    405: ("/v1/score", {"method": "DELETE"}, "-", "unknown"),
    413: ("/v1/score", {"parts": [b"SECRET" * 1000]}, "default", "POST /v1/score"),
    415: ("/v1/score", {"content_type": "SECRET"}, "default", "POST /v1/score"),
    422: ("/v1/feedback", {"parts": [b'{"SECRET": 1}']}, "default", "POST /v1/feedback"),
}


class TestAudit:
    """What the log says of refusals."""

    @pytest.fixture
    def endpoint(self, own: Settings) -> Endpoint:
        return Endpoint(own)

    @pytest.fixture
    def told(self, endpoint: Endpoint) -> Callable[[], Iterator[dict[str, Any]]]:
        folder = Path(endpoint.settings.journal) / audit.FOLDER
        return lambda: (one for one in audit.lines(folder) if one["act"] == "refused")

    @pytest.mark.parametrize("status", REFUSED)
    async def test_a_refusal_has_a_line_with_who_what_and_when_and_nothing_that_was_sent(
        self, endpoint: Endpoint, told: Callable[[], Iterator[dict[str, Any]]], status: int
    ) -> None:
        path, sent, client, route = REFUSED[status]
        response = await call(endpoint, path, **{"x_request_id": "asked-1", **sent})
        assert response.status_code == status
        (line,) = told()
        assert {name: line[name] for name in ("client", "route", "status", "code", "request_id")} == {
            "client": client, "route": route, "status": status, "code": CODES[status], "request_id": "asked-1",
        }  # fmt: skip
        assert "SECRET" not in json.dumps(line)
        assert API_KEY not in json.dumps(line)

    async def test_what_is_not_refused_has_none(
        self, endpoint: Endpoint, told: Callable[[], Iterator[dict[str, Any]]]
    ) -> None:
        assert (await call(endpoint, "/v1/score", [json.dumps(EVENT).encode()])).status_code == 200
        assert list(told()) == []

    async def test_a_flood_is_counted_and_does_not_fill_the_disk(
        self, endpoint: Endpoint, told: Callable[[], Iterator[dict[str, Any]]]
    ) -> None:
        for _ in range(300):
            await call(endpoint, "/v1/score", authorization=None)
        endpoint.access.refusals.flush()
        lines = list(told())
        assert sum(line.get("times", 1) for line in lines) == 300
        assert len(lines) < 200

    async def test_a_log_that_cannot_be_written_changes_no_answer(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(**_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(endpoint.access.audit, "write", full)
        for _ in range(3):
            check_refusal(await call(endpoint, "/v1/score", authorization=None), 401)
        assert caplog.text.count("the audit log cannot be written") == 1
