"""The main job: from raw events all the way round the loop to a live, monitored endpoint, and a report of it.

Reads:  the configured source
Writes: everything that the steps write; report.html, features.html
Run:    python -m workloads.pipeline experiment=payments
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.evaluation import published
from workbench.features.parity import holds
from workbench.progress import say
from workbench.release import ledger
from workbench.report import catalogue, page
from workbench.validation import check_learning
from workloads import (
    deploy,
    door,
    evaluate,
    featurize,
    ingest,
    label,
    leakcheck,
    monitor,
    parity,
    register,
    replay,
    train,
    validate,
)
from workloads.endpoint.live import live

VERSION = 6
Step = Callable[[Config], Artifact]
BUILD: dict[str, Step] = {
    "ingest": ingest.run,
    "validate": validate.run,
    "featurize": featurize.run,
    "leakcheck": leakcheck.run,
    "train": train.run,
    "evaluate": evaluate.shown,
    "register": register.run,
}
OPERATE: dict[str, Step] = {
    "replay": replay.run,
    "label": label.run,
    "parity": parity.compared,
    "monitor": monitor.run,
}


def run(cfg: Config) -> Artifact:
    """The report of the whole loop; its figures are the evaluation's. Raises `GateRefused` where parity fails."""
    register.refuse_many(cfg)
    check_learning(cfg)
    done: dict[str, Artifact] = {}
    seconds: dict[str, float] = {}
    for name, step in BUILD.items():
        done[name], seconds[name] = _timed(name, step, cfg)
    with _endpoint(cfg, seconds) as went_live:
        for name, step in OPERATE.items():
            done[name], seconds[name] = _timed(name, step, cfg)
            if name == "parity":
                _release(cfg, done["register"], done["parity"], went_live)
    artifact = _report(cfg, done, seconds)
    print(page.summary(done, artifact.manifest["seconds"], f"{artifact.uri}/report.html"))
    parity.refuse(done["parity"])
    return artifact


def _release(cfg: Config, version: Artifact, report: Artifact, went_live: bool) -> None:
    """Write down the champion once it is shown what it serves; a run that has found all done promotes nothing again."""
    known = ledger.is_released(version.store, cfg.serve.application, version.key)
    if holds(report.figures) and (went_live or not known):
        deploy.release(cfg, version)


@contextlib.contextmanager
def _endpoint(cfg: Config, seconds: dict[str, float]) -> Iterator[bool]:
    """The live endpoint that the operating steps share, unless all of them are done; whether there is one."""
    if Store(cfg.storage.root).find("monitoring", monitor.key(cfg)):
        yield False
        return
    started = time.monotonic()
    say("deploy")
    with live(cfg) as endpoint:
        seconds["deploy"] = time.monotonic() - started
        say(f"deploy done in {seconds['deploy']:.1f} s: {endpoint.url}")
        yield True


def _timed(name: str, step: Step, cfg: Config) -> tuple[Artifact, float]:
    say(name)
    started = time.monotonic()
    artifact = step(cfg)
    took = time.monotonic() - started
    say(f"{name} done in {took:.1f} s: {artifact.uri}")
    return artifact, took


def _report(cfg: Config, done: dict[str, Artifact], seconds: dict[str, float]) -> Artifact:
    parents = {name: artifact.key for name, artifact in done.items()}
    store, key = Store(cfg.storage.root), digest("pipeline", VERSION, parents, cfg.evaluate.published)
    if made := store.find("reports", key):
        return made
    stage = store.stage("reports", key)
    beside = published.table(cfg.evaluate.published)
    stage.write_bytes("report.html", page.render(cfg.name, done, seconds, beside).encode())
    features = catalogue.render(cfg.name, done["register"], done["monitor"].read_json("findings.json"))
    stage.write_bytes("features.html", features.encode())
    return stage.commit(parents, {"experiment": cfg.name}, done["evaluate"].figures, seconds=seconds)


if __name__ == "__main__":
    door.main(run, __doc__)
