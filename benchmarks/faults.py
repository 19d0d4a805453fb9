"""Does any request fail while versions are released, refused and rolled back under load, and processes are killed?

A constant load of events is sent to a live endpoint, each once, and never again. Meanwhile versions are swapped; a
broken, a slow and a tampered one and one whose scores are no numbers are promoted, and must be refused; a canary that
flags everybody must be rolled back. With --kills, two replicas on a Redis of its own are killed in turn, and the
controller three times; there a request may be sent again three times, with its id. Peer: what must be. The exit code is
1 where one row differs, or where a decision that was acknowledged is not in the prediction log exactly once.

    python -m benchmarks.faults [--json FILE] [--swaps 20] [--kills 10] [--per-second 100] [KEY=VALUE ...]
"""

import contextlib
import functools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.compute as pc

from benchmarks import apart, graphs, online_features, table
from benchmarks.steady import Load, Seen, until
from benchmarks.table import Row
from benchmarks.usage import command, tree
from workbench import cluster
from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, GateRefused
from workbench.feedback import prediction_log
from workbench.governance.keys import Keys
from workbench.models import bundle
from workbench.progress import say
from workbench.release import actions, ledger
from workbench.release.releases import Releases
from workloads import deploy, door, parity, register
from workloads.endpoint.asking import ready, url_of
from workloads.endpoint.given import settings_of
from workloads.endpoint.live import live

QUICK = ("train.families=[xgboost]", "train.xgboost.rounds=5", "evaluate.published=null", "serve.compact_every_s=1")
RETRIES, CONTROLLER_KILLS, CALM_S = 3, 3, 8.0  # seconds between kills, in which what was killed comes back
BAD = ("tampered", "broken", "slow", "no-number")


def main() -> None:
    """Run the faults and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--swaps", type=int, default=20, help="of the champion")
    parser.add_argument("--kills", type=int, default=0, help="of replicas; needs redis-server")
    parser.add_argument("--per-second", type=float, default=100, help="requests that are sent")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        # Redis first: Ray's processes inherit its password from the environment
        with tempfile.TemporaryDirectory(prefix="wb-faults-") as folder, _redis(arguments.kills) as url:
            own = [f"storage.root={folder}/store", f"serve.journal={folder}/journal"]
            cfg = apart.configured([*QUICK, *own, *url, *arguments.overrides])
            with cluster.session():
                rows = faults(cfg, arguments.swaps, arguments.kills, arguments.per_second)
        table.tell(rows, arguments.json)
        if any(row.ours != row.peer for row in rows):
            raise GateRefused("A fault hurt. See the table.")

    sys.exit(door.guarded(work))


def faults(cfg: Config, swaps: int, kills: int, per_s: float) -> list[Row]:
    """What was seen under each fault, beside what must be."""
    version = register.run(cfg)
    makes(cfg, version)
    with live(cfg, version, follows=True) as endpoint:
        deploy.release(cfg, version)
        releases, load = Released(cfg, version), Load(cfg, endpoint, per_s, RETRIES if kills else 0)
        with load.running() as seen:
            rows = [
                _under(seen, f"{swaps} swaps", lambda: releases.promoted(swaps)),
                _under(seen, f"{len(BAD)} unsound versions", releases.refused),
                _under(seen, "a worse canary", releases.rolled_back),
                *([_under(seen, f"{kills} kills", lambda: _kill_in_turn(cfg, kills))] if kills else []),
            ]
        say(f"  {seen.sent:,} requests, {seen.again} sent again; failed: {sorted(set(seen.failed)) or 'none'}")
        endpoint.drained()
    last = ledger.live_releases(Store(cfg.storage.root), cfg.serve.application)
    right = Row("the right version is live", float(last.champion == releases.champion and last.canary is None), 1, "")
    return [*rows, right, _logged(cfg, seen)]


class Released:
    """The releases of a store, and whether its endpoint follows them."""

    def __init__(self, cfg: Config, version: Artifact) -> None:
        self.store, self.application, self.champion = version.store, cfg.serve.application, version.key
        self._cfg, self._own = cfg, version

    def promoted(self, swaps: int) -> None:
        """Return when the endpoint has served so many sound versions, one after the other."""
        for number in range(swaps):
            self.champion = (f"sound-{number % 2}", self._own.key)[number % 3 == 2]
            actions.act(self.store, self.application, "promote", self.champion, f"swap {number}")
            until(self._followed, f"swap {number}")

    def refused(self) -> None:
        """Return when the endpoint has refused every unsound version."""
        for name in BAD:
            actions.act(self.store, self.application, "promote", name, "it must be refused")
            until(functools.partial(self._refused, name), f"the refusal of {name}")
            say(f"  {name} refused: {ledger.history(self.store, self.application)[-1]['why']}")

    def rolled_back(self) -> None:
        """Return when a canary that flags everybody is rolled back."""
        actions.act(self.store, self.application, "canary", "worse", "it must be rolled back", canary_percent=50)
        until(lambda: self._live().canary is None and self._followed(), "the rollback of a worse canary")
        say(f"  worse rolled back: {ledger.history(self.store, self.application)[-1]['why']}")

    def _live(self) -> Releases:
        return ledger.told(self.store, self.application) or Releases()

    def _refused(self, name: str) -> bool:
        last = ledger.history(self.store, self.application)[-1]
        return (last["version"], last["action"]) == (name, "refuse") and self._followed()

    def _followed(self) -> bool:
        settings = settings_of(self._cfg, self._own, follows=True)
        said = ready(url_of(self._cfg), settings)
        now = self._live()
        return said is not None and (said["release_step"], said["model_version"]) == (now.step, now.champion)


def makes(cfg: Config, version: Artifact) -> None:
    """Signed versions beside a real one: two that are sound, a worse one, and those that must be refused."""
    signing = Keys(cfg.keys.folder).signing()
    about, files = bundle.verified_files(version, signing.public_key())
    width = bundle.open_bundle(version, signing.public_key()).scorer.features
    kept = {name: about[name] for name in ("members", "weights", "threshold")}
    other = {"broken": b"no graph", "slow": graphs.slow(width), "no-number": graphs.no_number(width)}
    for name in ("sound-0", "sound-1", "worse", *BAD):
        said = {**kept, "threshold": 0.0} if name == "worse" else kept
        content = {**files, bundle.MODEL: other.get(name, files[bundle.MODEL])}
        made = bundle.write(version.store, name, content, said, signing, {}, {})
        if name == "tampered":
            path = Path(made.folder) / bundle.MODEL
            path.write_bytes(path.read_bytes()[:-1] + b"!")


def _under(seen: Seen, case: str, fault: Callable[[], object]) -> Row:
    """How many of the requests that were sent meanwhile got a decision."""
    sent, failed, started = seen.sent, len(seen.failed), time.monotonic()
    fault()
    time.sleep(1)  # those under way are answered
    count = seen.sent - sent
    say(f"  {case}: {time.monotonic() - started:.0f} s, {count:,} requests")
    return Row(f"{case}: decided", count - (len(seen.failed) - failed), count, "requests")


def _logged(cfg: Config, seen: Seen) -> Row:
    """How many acknowledged decisions are in the log exactly once, with the version that was told."""
    log = prediction_log.predictions(Store(cfg.storage.root), parity.log_name(cfg))
    rows = log.read(["request_id", "model_version"], pc.starts_with(pc.field("request_id"), "steady-")).to_pylist()
    versions: dict[str, list[str]] = {}
    for row in rows:
        versions.setdefault(row["request_id"], []).append(row["model_version"])
    once = sum(versions.get(name) == [version] for name, version in seen.answers.items())
    return Row("acknowledged and logged once", once, len(seen.answers), "decisions")


def _kill_in_turn(cfg: Config, kills: int) -> None:
    """End replicas at once, as the kernel would, and the controller between them; each comes back before the next."""
    for number in range(kills):
        _kill(f"ray::ServeReplica:{cfg.serve.application}")
        if number < CONTROLLER_KILLS:
            time.sleep(CALM_S)
            _kill("ray::ServeController")
        time.sleep(CALM_S)


def _kill(title: str) -> None:
    """End the first process of ours that Ray has given this title."""
    for pid in tree(os.getpid()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if command(pid).decode(errors="replace").startswith(title):
                os.kill(pid, signal.SIGKILL)
                say(f"  killed {title}")
                return
    raise EnvironmentFault(f"No process {title} of ours was found, and one was to be killed. See Ray Serve's logs.")


@contextlib.contextmanager
def _redis(kills: int) -> Iterator[list[str]]:
    """The overrides of an endpoint that kills must not hurt; none where none is killed."""
    if not kills:
        yield []
        return
    with online_features.own_redis() as url:
        yield ["serve.state=redis", f"serve.redis_url={url}", "serve.replicas=2"]


if __name__ == "__main__":
    main()
