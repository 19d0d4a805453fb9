"""Only a token that the issuer signed, for us, now, in an algorithm that is listed, names anybody."""

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from serve import oidc
from serve.access import Access
from serve.answers import Refusal
from serve.oidc import Issuer
from serve.principals import Asked, Principal, Roles
from tests.serve.small import ACCESS, settings
from workbench.data.store import Store
from workbench.governance.settings import OidcConfig

ISSUER, AUDIENCE = "https://id.example.com", "workbench"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})  # another's key under the same name
CURVE = ECKey.generate_key("P-256", {"kid": "curve"})
PUBLIC = KEY.as_pem(private=False)
DAY = 86_400


def jwks(*keys: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@pytest.fixture
def cfg(tmp_path: Path) -> OidcConfig:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(KEY, CURVE))
    return OidcConfig(issuer=ISSUER, audience=AUDIENCE, jwks=str(path), roles={"fraud": "scorer", "risk": "analyst"})


@pytest.fixture
def issuer(cfg: OidcConfig) -> Issuer:
    return Issuer(cfg, Roles(ACCESS))


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "checkout", "exp": now + 300, "iat": now, "roles": ["fraud"]}
    return {name: value for name, value in {**said, **changed}.items() if value is not None}


def signed(key: Any = KEY, header: dict[str, Any] | None = None, **changed: Any) -> str:
    said = {"alg": "RS256", "kid": "one", **(header or {})}
    return jwt.encode(said, claims(**changed), key, algorithms=[said["alg"]])


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def named(issuer: Issuer, token: str) -> Principal | None:
    return issuer.who(token, token)


def test_a_good_token_names_its_client_with_the_routes_of_its_roles(issuer: Issuer) -> None:
    found = named(issuer, signed(roles=["fraud", "risk", "other"]))
    assert found is not None
    assert found.client == "token:checkout"
    assert found.routes == {*ACCESS.roles["scorer"], *ACCESS.roles["analyst"]}
    assert 0 < found.until - time.time() <= 331


@pytest.mark.parametrize("audience", [AUDIENCE, ["other", AUDIENCE]])
def test_one_of_its_audiences_is_enough(issuer: Issuer, audience: Any) -> None:
    assert named(issuer, signed(aud=audience))


def test_another_listed_algorithm_is_taken_with_its_own_key_only(issuer: Issuer) -> None:
    assert named(issuer, signed(CURVE, {"alg": "ES256", "kid": "curve"}))
    assert not named(issuer, signed(CURVE, {"alg": "ES256", "kid": "one"}))


def test_a_role_that_is_not_mapped_gives_no_route(issuer: Issuer) -> None:
    found = named(issuer, signed(roles=["admin", "scorer"]))
    assert found is not None
    assert found.routes == frozenset()


@pytest.mark.parametrize(
    ("claim", "roles"),
    [
        ("realm.roles", {"realm": {"roles": ["fraud"]}}),
        ("scope", {"scope": "openid fraud"}),
        ("roles", {"roles": "fraud"}),
    ],
)
def test_roles_are_found_where_the_issuer_says_them(cfg: OidcConfig, claim: str, roles: dict[str, Any]) -> None:
    cfg.role_claim = claim
    found = named(Issuer(cfg, Roles(ACCESS)), signed(**{"roles": None, **roles}))
    assert found is not None
    assert found.routes == set(ACCESS.roles["scorer"])


@pytest.mark.parametrize("roles", [None, 7, {"fraud": 1}, [["fraud"]], [7]])
def test_odd_roles_are_none(issuer: Issuer, roles: Any) -> None:
    found = named(issuer, signed(roles=roles))
    assert found is not None
    assert found.routes == frozenset()


def unsigned(alg: str) -> str:
    return f"{part({'alg': alg, 'kid': 'one'})}.{part(claims())}."


def confused() -> str:
    """Signed by HMAC with the issuer's public key as if it were a shared secret."""
    content = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims())}"
    signature = hmac.new(PUBLIC, content.encode(), hashlib.sha256).digest()
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def swapped() -> str:
    head, _, signature = signed().split(".")
    return f"{head}.{part(claims(sub='admin'))}.{signature}"


def own_key_in_header() -> str:
    """It brings the key that it is to be verified with."""
    return signed(OTHER, {"jwk": OTHER.as_dict(private=False)})


FORGED: dict[str, Callable[[], str]] = {  # made when they are asked for: else they would only be too old
    "signed by another": lambda: signed(OTHER),
    "brings its own key": own_key_in_header,
    "unsigned": lambda: unsigned("none"),
    "unsigned, in capitals": lambda: unsigned("None"),
    "key confusion": confused,
    "swapped payload": swapped,
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "algorithm that is not listed": lambda: signed(header={"alg": "RS512"}),
    "unknown key": lambda: signed(header={"kid": "two"}),
    "no key named": lambda: jwt.encode({"alg": "RS256"}, claims(), KEY),
    "not signed after all": lambda: unsigned("RS256"),
    "expired": lambda: signed(exp=int(time.time()) - 60),
    "never expires": lambda: signed(exp=None),
    "expires at no number": lambda: signed(exp="soon"),
    "not yet valid": lambda: signed(nbf=int(time.time()) + DAY),
    "issued in the future": lambda: signed(iat=int(time.time()) + DAY),
    "wrong audience": lambda: signed(aud="other"),
    "no audience": lambda: signed(aud=None),
    "wrong issuer": lambda: signed(iss="https://id.example.com.evil"),
    "no issuer": lambda: signed(iss=None),
    "no client": lambda: signed(sub=None),
    "client that is no text": lambda: signed(sub=7),
    "client with a line break": lambda: signed(sub="a\nb"),
    "too long": lambda: signed(padding="x" * 9000),
    "two parts": lambda: "a.b",
    "no JSON": lambda: "a.b.c",
    "odd base64": lambda: "\u00e4.\u00e4.\u00e4",
    "empty parts": lambda: "..",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_token_that_is_wrong_names_nobody(issuer: Issuer, token: Callable[[], str]) -> None:
    assert named(issuer, token()) is None


def test_the_endpoint_refuses_each_of_them_and_lets_the_good_one_in(
    cfg: OidcConfig, store: Store, tmp_path: Path
) -> None:
    access = Access(replace(settings(store, tmp_path), access=replace(ACCESS, oidc=cfg)))
    for token in FORGED.values():
        with pytest.raises(Refusal) as caught:
            access.admit(Asked("id", "POST /v1/score"), f"Bearer {token()}")
        assert caught.value.status == 401
    asked = Asked("id", "POST /v1/score")
    access.admit(asked, f"Bearer {signed()}")
    assert asked.client == "token:checkout"
    with pytest.raises(Refusal) as caught:
        access.admit(Asked("id", "POST /v1/feedback"), f"Bearer {signed()}")
    assert caught.value.status == 403


def test_a_token_that_is_remembered_still_ends(cfg: OidcConfig, store: Store, tmp_path: Path) -> None:
    cfg.leeway_s = 0
    access = Access(replace(settings(store, tmp_path), access=replace(ACCESS, oidc=cfg)))
    token = signed(exp=int(time.time()) + 2)
    access.admit(Asked("id", "POST /v1/score"), f"Bearer {token}")
    time.sleep(2.1)
    with pytest.raises(Refusal):
        access.admit(Asked("id", "POST /v1/score"), f"Bearer {token}")


SHARED = OctKey.import_key(b"x" * 32, {"kid": "shared"})
EDWARDS = OKPKey.generate_key("Ed25519", {"kid": "edwards"})


def test_only_public_keys_for_signatures_are_taken_from_an_issuer() -> None:
    encrypting = {**OTHER.as_dict(private=False), "kid": "enc", "use": "enc"}
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": base64.urlsafe_b64encode(b"\xff" * 129).decode()}
    said = [KEY.as_dict(private=False), EDWARDS.as_dict(private=False), weak, SHARED.as_dict(private=True), encrypting]
    assert set(oidc._imported(json.dumps({"keys": [*said, {"kty": "new"}]}).encode())) == {"one", "edwards"}
    with pytest.raises(ValueError, match="no public key"):
        oidc._imported(json.dumps({"keys": [encrypting]}).encode())


class TestKeysOfTheIssuer:
    """How they are fetched."""

    def test_until_they_are_known_a_token_is_told_to_come_again(self, cfg: OidcConfig) -> None:
        cfg.jwks = "/nowhere/jwks.json"
        with pytest.raises(Refusal) as caught:
            named(Issuer(cfg, Roles(ACCESS)), signed())
        assert (caught.value.status, caught.value.headers["retry-after"]) == (503, "5")

    def test_a_key_that_is_new_is_looked_for_and_one_that_is_gone_is_trusted_no_more(
        self, cfg: OidcConfig, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = signed()
        assert named(issuer, old)
        new = RSAKey.generate_key(2048, {"kid": "two"})
        token = signed(new, {"kid": "two"})
        Path(str(cfg.jwks)).write_bytes(jwks(new))
        assert named(issuer, token) is None
        issuer.look()
        assert named(issuer, token) is None, "not at once: who sends nonsense must not make us ask all the time"
        issuer._tried -= oidc.AGAIN_S
        issuer.look()
        assert named(issuer, token)
        assert named(issuer, old) is None

    def test_an_issuer_that_is_away_changes_nothing_for_a_day(
        self, cfg: OidcConfig, issuer: Issuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        Path(str(cfg.jwks)).write_text("{")
        for _ in range(3):
            issuer._tried -= cfg.refresh_s
            issuer.look()
        assert named(issuer, signed())
        assert caplog.text.count("cannot be fetched") == 1
        issuer._fetched -= oidc.STALE_S
        issuer._tried -= cfg.refresh_s
        issuer.look()
        with pytest.raises(Refusal):
            named(issuer, signed(sub="new"))

    @pytest.fixture
    def answers(self) -> Iterator[tuple[str, list[Any]]]:
        """A server of a test's own that gives what it is told: a status, a header, parts with a pause before each."""
        said: list[Any] = [200, {}, [jwks(KEY)], 0.0]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path.endswith("/other") else said[0])
                for name, value in said[1].items():
                    self.send_header(name, value)
                self.end_headers()
                for one in said[2]:
                    time.sleep(said[3])
                    self.wfile.write(one)

            def log_message(self, *_: Any) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/keys", said
            server.shutdown()

    def test_they_come_over_http_too(self, cfg: OidcConfig, answers: tuple[str, list[Any]]) -> None:
        cfg.jwks = answers[0]
        assert named(Issuer(cfg, Roles(ACCESS)), signed())

    @pytest.mark.parametrize("fault", ["redirect", "too much", "too slow", "error"])
    def test_what_an_issuer_must_not_do_leaves_the_keys_unknown(
        self, cfg: OidcConfig, answers: tuple[str, list[Any]], fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        cfg.jwks, said = answers
        cfg.timeout_s = 0.3
        if fault == "redirect":
            said[0], said[1] = 302, {"location": f"{answers[0]}/other"}
        elif fault == "too much":
            said[2] = [b" " * 600_000, b" " * 600_000, jwks(KEY)]
        elif fault == "too slow":
            said[2], said[3] = [*[b" "] * 8, jwks(KEY)], 0.1
        else:
            said[0] = 500
        with caplog.at_level(logging.ERROR, "ray.serve"), pytest.raises(Refusal):
            named(Issuer(cfg, Roles(ACCESS)), signed())
        assert "cannot be fetched" in caplog.text
