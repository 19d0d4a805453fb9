"""An endpoint of a benchmark's own: beside the ones that are live, on copies of what it writes into."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyarrow.fs import LocalFileSystem

from benchmarks.loopback import free_port
from workbench import cluster
from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError
from workbench.governance.keys import Keys
from workbench.models import bundle
from workbench.release import actions
from workloads import door, register


def configured(overrides: Sequence[str]) -> Config:
    """The configuration with an application, a port and a journal of the benchmark's own."""
    own = ["serve.application=benchmark", f"serve.port={free_port()}", "tracker=disabled", "replay.days=40"]
    return door.composed([*own, *overrides])


@contextlib.contextmanager
def prepared(cfg: Config) -> Iterator[Path]:
    """As long as the block a Ray, and a folder with a store of the endpoint's own in which its model is registered."""
    with cluster.session(), tempfile.TemporaryDirectory(prefix="wb-benchmark-") as folder:
        register.run(cfg)
        set_apart(cfg, Path(folder))
        yield Path(folder)


def set_apart(cfg: Config, folder: Path) -> None:
    """Let the endpoint write into copies of the tables, since its decisions here are none; the artifacts are shared."""
    store = Store(cfg.storage.root)
    if not isinstance(store.fs, LocalFileSystem):
        raise ConfigError(f"storage.root={cfg.storage.root} is not on this machine. Use a local one for benchmarks.")
    cfg.storage.root, cfg.serve.journal = str(folder / "store"), str(folder / "journal")
    (folder / "store").mkdir()
    (folder / "store" / "models").mkdir()  # more may be written for a benchmark
    for part in (*Path(store.root).iterdir(), *Path(store.path("models")).iterdir()):
        if part.name not in ("tables", "models"):
            (folder / "store" / part.relative_to(store.root)).symlink_to(part)
    shutil.copytree(store.path("tables"), folder / "store" / "tables", ignore=lambda *_: ["predictions"])


def shadowed(cfg: Config, version: Artifact, count: int) -> None:
    """Release so many copies of a version as shadows: they are as much work as any other."""
    signing = Keys(cfg.keys.folder).signing()
    about, files = bundle.verified_files(version, signing.public_key())
    kept = {name: about[name] for name in ("members", "weights", "threshold")}
    for name in (f"shadow-{number}" for number in range(count)):
        bundle.write(version.store, name, files, kept, signing, {}, {})
        actions.act(version.store, cfg.serve.application, "shadow", name, "to measure what shadows cost")
