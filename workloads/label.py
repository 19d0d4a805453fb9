"""Let the data's clock run on by the label delay: the replayed events' own labels come back through the endpoint.

Reads:  label ledger (what the source knows); replay
Writes: label ledger, through the endpoint; a record of what was told
Run:    python -m workloads.label
"""

import datetime as dt

import pyarrow as pa
import uvloop

from workbench import awaited
from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.progress import say
from workloads import door, register, replay
from workloads.endpoint.live import Live, live

VERSION = 1


def key(cfg: Config) -> str:
    """The name of the record."""
    return digest("label", VERSION, replay.key(cfg), cfg.data.label.delay_days)


def run(cfg: Config) -> Artifact:
    """The record of the labels that were told."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("labels", name):
        return done
    replay.run(cfg)
    _, end = replay.span(cfg, replay.events_of(cfg))
    matured = end + dt.timedelta(days=cfg.data.label.delay_days)
    told = replay.told_labels(cfg, end, matured)
    with live(cfg) as endpoint:
        accepted = awaited.result(_tell(cfg, endpoint, told), uvloop.run)
        endpoint.drained()
    say(f"  {accepted:,} labels told, the data's clock is at {matured:%Y-%m-%d %H:%M}")
    figures = {"labels": accepted, "clock": matured.isoformat()}
    return store.stage("labels", name).commit({"replay": replay.key(cfg), "model": register.key(cfg)}, {}, figures)


async def _tell(cfg: Config, endpoint: Live, told: pa.Table) -> int:
    async with replay.client(cfg, endpoint) as session:
        return await replay.tell(cfg, session, endpoint.url, told)


if __name__ == "__main__":
    door.main(run, __doc__)
