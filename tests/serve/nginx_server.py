"""A real nginx of a test's own, from the template that is shipped, with certificates of a self-made authority."""

import contextlib
import datetime as dt
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.loop import commands

BINARY = shutil.which("nginx")
needs_nginx = pytest.mark.skipif(BINARY is None, reason="nginx is not installed (apt-get install nginx)")
TEMPLATES = commands.ROOT / "deploy" / "nginx"
NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Authority:
    """Who signs certificates."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(name, name, key, key, x509.BasicConstraints(ca=True, path_length=0))
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return cls(folder, name, key, signed)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for loopback and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(name, self.name, key, self.key, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
        pem, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return pem, private


def _certificate(
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    what: x509.ExtensionType,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    building = (
        x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
    )
    building = building.serial_number(x509.random_serial_number()).not_valid_before(NOW - dt.timedelta(hours=1))
    building = building.not_valid_after(NOW + dt.timedelta(days=1)).add_extension(what, critical=True)
    return building.sign(signer, hashes.SHA256())


@dataclass(frozen=True)
class Front:
    """An nginx that answers, and how it is trusted."""

    port: int
    folder: Path
    authority: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def context(self, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client checks the server with, and shows of itself."""
        found = ssl.create_default_context(cafile=str(self.authority))
        if certificate:
            found.load_cert_chain(*map(str, certificate))
        return found


@contextlib.contextmanager
def running(
    folder: Path, upstream: int, clients: Path | None = None, instead: dict[str, str] | None = None
) -> Iterator[Front]:
    """An nginx in front of a port of loopback as long as the block.

    `clients`: the authority of its clients; `instead`: lines of the template that a test wants otherwise.
    """
    folder.mkdir()
    authority, port = Authority.made(folder, "authority"), commands.free_port()
    certificate, key = authority.issue("server")
    values = {
        "LISTEN": f"127.0.0.1:{port}", "UPSTREAM": f"127.0.0.1:{upstream}", "FOLDER": str(folder),
        "CERTIFICATE": str(certificate), "CERTIFICATE_KEY": str(key),
    }  # fmt: skip
    templates = ["nginx.conf"]
    if clients:
        shutil.copy(clients, folder / "clients-ca.pem")
        templates.append("mutual-tls.conf")
    for name in templates:
        text = (TEMPLATES / name).read_text()
        for variable, value in values.items():
            text = text.replace("${" + variable + "}", value)
        for line, other in (instead or {}).items():
            assert text.count(line) == 1, f"{name} has no such line: {line}"
            text = text.replace(line, other)
        (folder / name).write_text(text)
    process = subprocess.Popen([str(BINARY), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"], cwd=folder)
    try:
        _wait(process, port)
        yield Front(port, folder, authority.path)
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + 20
    while True:
        assert process.poll() is None and time.monotonic() < until, "nginx does not start"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
