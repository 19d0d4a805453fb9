"""The runbook's commands do what it says: a store that is copied and restored has everything, keys can be replaced."""

import os
import re
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.loop import commands
from tests.loop.commands import ROOT, free_port
from workbench.data.store import Store
from workbench.errors import StoreError
from workbench.governance.keys import OLD, Keys
from workbench.models.bundle import open_bundle
from workloads.endpoint.ports import SERVE_PORTS

TESTED = re.compile(r"<!-- tested: ([\w ]+) -->\n((?:    .*\n)+)")
BLOCKS = dict(TESTED.findall((ROOT / "deploy" / "runbook.md").read_text()))
MADE = ("store", "journal", "keys")


def test_the_runbook_has_the_commands_that_are_tried() -> None:
    assert set(BLOCKS) == {"back up", "restore", "signing key"}


@pytest.mark.slow
def test_a_store_that_was_restored_elsewhere_has_every_step_and_its_keys_can_be_replaced(
    first: CompletedProcess[str], folder: Path, tmp_path: Path
) -> None:
    own = commands.environment(folder) | {name: str(free_port()) for name in SERVE_PORTS}
    own |= {"BACKUP": str(tmp_path / "backup"), "RESTORED": str(tmp_path / "restored"), "BACKUP_PASSPHRASE": "words"}
    again = commands.run(folder, "pipeline", f"serve.port={free_port()}")  # other tests may have sent events since
    assert again.returncode == 0, again.stderr[-3000:]
    run("back up", own)
    assert b"signing" not in (tmp_path / "backup" / "keys.enc").read_bytes(), "keys are not readable there"
    said = run("restore", own)
    there = {name: tmp_path / "restored" / name for name in MADE}
    assert f"{there['store']}/reports/" in said.stdout
    assert files(there["store"]) == files(folder / "workbench_store"), "nothing was made again"
    assert " done in " in said.stderr and "Ray" not in said.stderr
    own |= {f"WORKBENCH_{name.upper()}": str(path) for name, path in there.items()}
    before = Keys(str(there["keys"])).verifying()
    said = run("signing key", own)
    assert "1 versions signed" in said.stderr and "live at" in said.stderr
    (version,) = [store.get("models", key) for store in [Store(str(there["store"]))] for key in store.keys("models")]
    assert open_bundle(version, Keys(str(there["keys"])).verifying()).version == version.key
    with pytest.raises(StoreError, match="was not signed"):
        open_bundle(version, before)
    assert not (there["keys"] / OLD).exists()


def run(block: str, own: dict[str, str]) -> CompletedProcess[str]:
    """The commands of a block as a person types them, at the size of the tests."""
    small = f"{' '.join(commands.SMOKE)} tracker=disabled serve.port={free_port()}"
    text = "set -euo pipefail\n" + BLOCKS[block].replace("experiment=payments", small)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=ROOT,
        env=own | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def files(store: Path) -> set[str]:
    return {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
