"""On which addresses the processes of a tree listen, read from /proc: nothing is asked that could hide one."""

import contextlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.loop import commands

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LISTEN = "0A"  # the state in /proc/net/tcp


@dataclass(frozen=True)
class Listener:
    """A socket that listens: where, and in which process."""

    address: Address
    port: int
    owner: str

    @property
    def closed(self) -> bool:
        """Whether only this machine reaches it."""
        return self.address.is_loopback


def listeners(pid: int) -> set[Listener]:
    """The listening sockets of a process and of all that it has started."""
    where = dict(_listening())
    found = set()
    for one in (pid, *commands.descendants(pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found |= {Listener(*where[inode], _owner(one, pid)) for inode in _sockets(one) if inode in where}
    return found


def addresses(port: int) -> set[str]:
    """Where anybody on this machine listens at this port."""
    return {str(address) for _, (address, found) in _listening() if found == port}


def _listening() -> Iterator[tuple[str, tuple[Address, int]]]:
    """The inode of each listening TCP socket of this machine, and its address and port."""
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            (
                _,
                local,
                _,
                state,
                *_,
            ) = row = line.split()
            if state == LISTEN:
                address, port = local.split(":")
                yield row[9], (_address(address), int(port, 16))


def _address(words: str) -> Address:
    """An address as the kernel writes it: 32-bit words in the byte order of the machine."""
    parts = [bytes.fromhex(words[start : start + 8])[::-1] for start in range(0, len(words), 8)]
    found = ipaddress.ip_address(b"".join(parts))
    return getattr(found, "ipv4_mapped", None) or found


def _sockets(pid: int) -> set[str]:
    """The inodes of the sockets that a process holds open; none where it has ended."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed since it was listed
                found.add(str(entry.readlink()))
    return {target[len("socket:[") : -1] for target in found if target.startswith("socket:[")}


def _owner(pid: int, driver: int) -> str:
    """What kind of process it is: `driver`, `ray::` and a class of actors, or the name of its program."""
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    if pid == driver:
        return "driver"
    if words[0].startswith("ray::"):
        return "ray::" + re.split("[.:]", words[0].removeprefix("ray::"))[0]
    scripts = [word for word in words if word.endswith(".py")]
    return Path(scripts[0] if "python" in Path(words[0]).name and scripts else words[0]).name
