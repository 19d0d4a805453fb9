"""The data set that the README shows is one that works."""

import re
import shutil
from pathlib import Path

import pytest

from tests.workloads.samples import ORDERS
from workbench.data import snapshots
from workloads import door, validate

README = Path(__file__).resolve().parents[2] / "README.md"
pytestmark = pytest.mark.usefixtures("ray_session")


def test_the_data_set_in_the_readme_is_read_and_holds_its_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(r"```yaml\n(name: orders\n.*?)```", README.read_text(), re.DOTALL)
    assert shown
    assert len(shown[1].splitlines()) < 20
    shutil.copytree(door.CONF, tmp_path / "conf")
    (tmp_path / "conf" / "data" / "orders.yaml").write_text(shown[1])
    (tmp_path / "orders.csv").write_text(ORDERS)
    monkeypatch.setattr(door, "CONF", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    rows = snapshots.read(validate.run(door.composed(["data=orders", f"storage.root={tmp_path / 'store'}"])))
    assert rows["total"].to_pylist() == [1234, 10, 99900, 500]
    assert rows["card"].to_pylist() == ["x", "x", "y", "y"]
