"""What a diagnosis says of a machine is what is there, and what helps stands beside what is wrong."""

import socket
from pathlib import Path

import pytest

from workbench.config import Config, KeysConfig, ServeConfig
from workbench.doctor import findings, machine, ports
from workbench.doctor.findings import State
from workbench.doctor.storage import Probe
from workloads import door


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    words = [
        f"storage.root={tmp_path / 'store'}",
        f"keys.folder={tmp_path / 'keys'}",
        f"serve.journal={tmp_path / 'j'}",
    ]
    return door.composed(words)


def test_this_python_and_its_packages_are_as_they_should_be() -> None:
    assert machine.python().state is State.ok
    assert machine.packages().state in (State.ok, State.odd), "ray is what constraints.txt pins"


def test_a_package_that_is_not_as_pinned_is_told_and_rays_is_wrong(tmp_path: Path) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("# none of these\nray==1.0\nnothing-of-that-name==1\n")
    assert machine.packages(pinned).state is State.wrong
    pinned.write_text("pyarrow==1.0\n")
    found = machine.packages(pinned)
    assert (found.state, "not 1.0" in found.said) == (State.odd, True)
    assert machine.packages(tmp_path / "away").state is State.none


@pytest.mark.parametrize(("used", "state"), [(0.5, State.ok), (0.9, State.odd), (0.96, State.wrong)])
def test_a_disk_is_judged_as_ray_judges_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, used: float, state: State
) -> None:
    whole = 1000 * 2**30
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: (whole, 0, whole * (1 - used)))
    assert machine.disk("disk", tmp_path / "not" / "yet").state is state


def test_a_key_that_others_may_read_is_wrong_and_none_is_made(cfg: Config, tmp_path: Path) -> None:
    none = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "no_token")}
    assert [one.state for one in machine.secrets(cfg, none)] == [State.none]
    assert not (tmp_path / "keys").exists()
    (tmp_path / "keys").mkdir()
    key = tmp_path / "keys" / "signing.key"
    key.write_text("hush")
    key.chmod(0o640)
    (found,) = machine.secrets(cfg, none)
    assert (found.state, found.cure) == (State.wrong, f"chmod 600 {key}")
    assert "hush" not in found.said
    key.chmod(0o600)
    assert [one.state for one in machine.secrets(cfg, none)] == [State.ok]


def test_keys_of_the_environment_are_judged_without_being_shown(cfg: Config, tmp_path: Path) -> None:
    given = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "no"), "WORKBENCH_SIGNING_KEY": "hush", "RAY_AUTH_MODE": "disabled"}
    found = list(machine.secrets(cfg, given))
    assert [one.state for one in found] == [State.none, State.wrong, State.odd]
    assert "hush" not in findings.table(found)


def test_gpus_that_are_asked_for_and_not_there_are_wrong() -> None:
    assert machine.gpu(door.composed(["scaling=gpu"]), 0).state is State.wrong
    assert machine.gpu(door.composed(["scaling=gpu"]), 2).state is State.ok
    assert machine.gpu(door.composed([]), 2).state is State.ok


def test_a_journal_that_holds_records_is_told(cfg: Config, tmp_path: Path) -> None:
    assert machine.journal(cfg).state is State.none
    for folder in ("audit", "payments-1"):
        (tmp_path / "j" / folder).mkdir(parents=True)
    (tmp_path / "j" / "audit" / "endpoint-1.audit").write_text("{}")
    assert machine.journal(cfg).state is State.none, "an audit log waits for no endpoint"
    (tmp_path / "j" / "payments-1" / "predictions-1.jsonl").write_text("{}")
    assert machine.journal(cfg).state is State.ok
    (tmp_path / "j" / "payments-1" / "predictions-2.unreadable").write_text("{")
    assert machine.journal(cfg).state is State.odd


def test_a_port_that_is_taken_and_one_that_is_open_to_all_are_told() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (found,) = ports.free({"serve.port": ("127.0.0.1", port)})
        assert (found.state, str(port) in found.said) == (State.odd, True)
        assert port in (ports.open_to_all() or set())
        assert [one.what for one in ports.exposed({port: "the dashboard"}) if "the dashboard" in one.said] == ["ports"]
    (found,) = ports.free({"serve.port": ("127.0.0.1", port)})
    assert found.state is State.ok
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", port))
        closed.listen()
        assert port not in (ports.open_to_all() or set())


def test_a_storage_is_written_read_and_left_as_it_was(tmp_path: Path) -> None:
    probe = Probe(str(tmp_path / "store"))
    assert [one.state for one in probe.findings()] == [State.ok, State.ok]
    assert probe.seen()
    assert list(probe.removed()) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_storages_key_is_not_shown() -> None:
    assert Probe("s3://AKIA:hush@bucket/store").shown == "s3://...@bucket/store"
    assert Probe("s3://bucket/a@b").shown == "s3://bucket/a@b"


def test_a_storage_that_cannot_be_written_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (found,) = Probe(str(tmp_path / "file" / "store")).findings()
    assert (found.state, "who may read, write" in found.cure) == (State.wrong, True)


def test_the_table_has_a_line_for_each_finding_and_its_cure_below_it() -> None:
    text = findings.table([findings.ok("disk", "full of room"), findings.wrong("clocks", "late", "chrony")])
    assert [line.split() for line in text.splitlines()] == [
        ["disk", "ok", "full", "of", "room"], ["clocks", "WRONG", "late"], ["->", "chrony"],
    ]  # fmt: skip


def test_the_configs_own_ports_are_looked_at() -> None:
    from workloads import doctor

    assert doctor._ports(Config(name="x", serve=ServeConfig(application="x", port=1234), keys=KeysConfig()))[
        "serve.port"
    ] == ("127.0.0.1", 1234)
