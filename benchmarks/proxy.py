"""How long is an endpoint away when what stands before it is killed? HAProxy, and then the actor that looks after it.

Each is ended with SIGKILL in turn, while its health is asked twenty times a second: the outage is from the kill to the
last question without a good answer. The peer is what is asked.

    python -m benchmarks.proxy [--times 2] [--json FILE] [KEY=VALUE ...]
"""

import os
import signal
import sys
import time

from benchmarks import apart, table
from benchmarks.loopback import answers
from benchmarks.table import Row
from benchmarks.usage import command, tree
from workbench.errors import EnvironmentFault
from workbench.progress import say
from workloads import door
from workloads.endpoint.live import live

KILLED = {"HAProxy": b"haproxy\0-", "its actor": b"ray::HAProxyManager"}
ASKED_S, EVERY_S, WATCHED_S = 5.0, 0.05, 15.0


def main() -> None:
    """Kill, and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--times", type=int, default=2, help="kills of each")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        cfg = apart.configured(arguments.overrides)
        with apart.prepared(cfg), live(cfg) as endpoint:
            outages = {name: [outage(endpoint.url, name) for _ in range(arguments.times)] for name in KILLED}
        rows = [
            Row(f"{name} killed, longest outage", max(seen), ASKED_S, "s (peer: asked)")
            for name, seen in outages.items()
        ]
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def outage(url: str, name: str) -> float:
    """Seconds from the kill until the endpoint answers, and goes on answering."""
    pids = [pid for pid in tree(os.getpid()) if KILLED[name] in command(pid)]
    if not pids:
        raise EnvironmentFault(f"No process of {name} was found, and one was to be killed. See Ray Serve's logs.")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    killed = last = time.monotonic()
    while time.monotonic() - killed < WATCHED_S:
        if not answers(f"{url}/healthz", timeout_s=1):
            last = time.monotonic()
        time.sleep(EVERY_S)
    say(f"  {name} killed: away for {last - killed:.1f} s")
    return last - killed


if __name__ == "__main__":
    main()
