"""What listens on this machine beyond loopback, and whether what we need is free."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from workbench.doctor.findings import Finding, none, odd, ok

LISTENS = "0A"  # of a socket's state in /proc/net/tcp
ANYWHERE = ("00000000", "0" * 32)
FILES = ("/proc/net/tcp", "/proc/net/tcp6")


def free(needed: Mapping[str, tuple[str, int]]) -> Iterator[Finding]:
    """Whether something can listen at these places, each named as a person would move it."""
    taken = [f"{port} ({key})" for key, (host, port) in needed.items() if not _bindable(host, port)]
    if taken:
        cure = "An endpoint may run already; else stop what uses them, or move ours."
        yield odd("ports", f"in use: {', '.join(taken)}", cure)
    else:
        yield ok("ports", f"free: {', '.join(str(port) for _, port in needed.values())}")


def exposed(closed: Mapping[int, str]) -> Iterator[Finding]:
    """Which of these ports, that should be loopback's alone, answer anybody; the others are the firewall's to close."""
    there = open_to_all()
    if there is None:
        yield none("ports", "what listens is not known on this system")
        return
    for port in sorted(there & set(closed)):
        yield odd("ports", f"{closed[port]} listens on every address ({port})", "Bind it to 127.0.0.1.")
    if there:
        said = f"{len(there)} ports of this machine answer on every address"
        yield odd("ports", said, "Ray's gRPC ports and HAProxy's statistics cannot be bound: close them by a firewall.")


def open_to_all() -> set[int] | None:
    """The ports on which something listens on every address; None where the system does not tell."""
    lines = [line.split() for file in FILES if Path(file).exists() for line in Path(file).read_text().splitlines()[1:]]
    if not Path(FILES[0]).exists():
        return None
    ends = [line[1].split(":") for line in lines if line[3] == LISTENS]
    return {int(port, 16) for host, port in ends if host in ANYWHERE}


def _bindable(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
