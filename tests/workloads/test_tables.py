"""The README's example: a slow dimension and a Python function, from their files to the endpoint's answer."""

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from omegaconf import OmegaConf

from serve import schemas
from serve.service import Service
from tests.code.features import oracle
from tests.serve import small
from tests.workloads import functions
from tests.workloads.samples import benchmark_config
from workbench.config import Config, FeaturesConfig
from workbench.data import dimensions, labels, snapshots
from workbench.data.store import Store
from workbench.errors import ConfigError, InputError
from workbench.features import parity, tables
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.feedback import prediction_log
from workloads import door, featurize, validate
from workloads import parity as parity_step
from workloads.endpoint.given import check_version, settings_of

README = (Path(door.CONF) / "features" / "README.md").read_text()
NAMES = ["terminal_class", "terminal_floors", "roundness"]
FLOORS = 3


def shown(language: str) -> str:
    """The one block of a language in the README."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The payments with the README's view, and a file: terminals risky from the tenth day, known on the 15th."""
    folder = tmp_path_factory.mktemp("tables")
    cfg = benchmark_config(folder / "store")
    text = shown("yaml").replace("payments_functions:", f"{functions.__name__}:")
    said = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(FeaturesConfig), OmegaConf.create(text)))
    assert isinstance(said, FeaturesConfig)
    said.tables["terminals"].path = str(folder / "terminals.csv")
    lines = [f"{n},2018-04-01,,2018-04-01,low,{FLOORS}\n{n},2018-04-10,,2018-04-15,high,\n" for n in range(60)]
    (folder / "terminals.csv").write_text("terminal_id,since,until,told,risk_class,floors\n" + "".join(lines))
    cfg.features = dataclasses.replace(cfg.features, views=[*cfg.features.views, *said.views], tables=said.tables)
    return cfg


def test_the_function_in_the_readme_is_the_one_that_is_tested() -> None:
    assert Path(str(functions.__file__)).read_text().endswith('"""\n\n' + shown("python"))


@pytest.mark.usefixtures("ray_session")
def test_every_row_has_what_held_and_was_known_at_its_time(cfg: Config) -> None:
    made, rows = featurize.run(cfg), snapshots.read(validate.run(cfg)).sort_by("transaction_id")
    found = snapshots.read(made).sort_by("transaction_id")
    told = oracle.times(np.array([dt.datetime(2018, 4, 15, tzinfo=dt.UTC).timestamp() * 1e6], np.int64))[0]
    named, late = pc.less(rows["terminal_id"], 60).to_numpy(), pc.greater_equal(rows["event_time"], told).to_numpy()
    assert 0 < (named & late).sum() < named.sum() < len(named), "there is something of everything"
    assert found["terminal_class"].to_pylist() == np.where(named, np.where(late, 2.0, 0.0), -1.0).tolist()
    assert found["terminal_floors"].to_pylist() == np.where(named & ~late, float(FLOORS), 0.0).tolist()
    zeros = [min(3, len(text) - len(text.rstrip("0"))) for text in map(str, rows["amount_minor"].to_pylist())]
    assert found["roundness"].to_pylist() == zeros
    assert made.manifest["parents"]["dimension terminals"] == dimensions.keys(cfg.features.tables)["terminals"]


def test_another_content_of_the_file_is_another_key_of_featurize(cfg: Config, tmp_path: Path) -> None:
    before = featurize.key(cfg)
    table = cfg.features.tables["terminals"]
    (tmp_path / "terminals.csv").write_text(Path(table.path).read_text() + "99,2018-04-01,,2018-04-01,low,1\n")
    moved = dataclasses.replace(table, path=str(tmp_path / "terminals.csv"))
    other = dataclasses.replace(cfg, features=dataclasses.replace(cfg.features, tables={"terminals": moved}))
    assert featurize.key(other) != before
    assert FeatureSet.of(other.features, cfg.data).digest == FeatureSet.of(cfg.features, cfg.data).digest


def test_a_file_with_faults_stops_featurize_before_any_work(cfg: Config, tmp_path: Path) -> None:
    (tmp_path / "terminals.csv").write_text(
        "terminal_id,since,until,told,risk_class,floors\n1,soon,,2018-04-01,odd,1\n"
    )
    moved = dataclasses.replace(cfg.features.tables["terminals"], path=str(tmp_path / "terminals.csv"))
    features = dataclasses.replace(cfg.features, tables={"terminals": moved})
    other = dataclasses.replace(cfg, features=features, storage=dataclasses.replace(cfg.storage, root=str(tmp_path)))
    with pytest.raises(InputError, match=r"columns.since: 1 rows break the rule 'not of type timestamp', first 'soon'"):
        featurize.run(other)
    assert Store(str(tmp_path)).keys("raw") == []


class TestServing:
    @pytest.fixture
    def service(self, cfg: Config, store: Store, tmp_path: Path) -> Service:
        """An endpoint of these features; it reads the tables that its settings name."""
        dimensions.snapshot_all(store, cfg.features.tables)
        given = small.settings(store, tmp_path, cfg.data, FeatureSet.of(cfg.features, cfg.data))
        return Service(dataclasses.replace(given, dimensions=dimensions.keys(cfg.features.tables)))

    def test_the_endpoint_finds_by_tokens_what_is_computed_again_bit_for_bit(
        self, cfg: Config, service: Service, store: Store
    ) -> None:
        decoder = msgspec.json.Decoder(schemas.event_type(cfg.data))
        asked = [("2018-04-12", 5, 700), ("2018-04-15", 5, 705), ("2018-04-15", 80, 1000), ("2018-04-01", 59, 0)]
        for number, (day, terminal, amount) in enumerate(asked):
            body = {"transaction_id": number, "event_time": f"{day}T00:00:00Z", "customer_id": 1}
            body |= {"terminal_id": terminal, "amount_minor": amount}
            service.score(decoder.decode(json.dumps(body)), f"r{number}")
        service.compact()
        log = prediction_log.predictions(store, service.settings.log).read().sort_by("id")
        names = service.bundle.feature_set.names
        served = [[row[names.index(name)] for name in NAMES] for row in log["features"].to_pylist()]
        assert served == [[0, 3, 2], [2, 0, 0], [-1, 0, 3], [0, 3, 3]]
        events = parity.events_of(log, cfg.data)
        assert all(len(token) == 32 for token in events["terminal_id"].to_pylist()), "the log holds no terminal"
        token, nobody = service.token, PositiveIntervals.of(labels.read(store, "raw"), "id")
        (named,) = set(log["dimensions"].to_pylist())
        loaded = tables.load(store, service.bundle.feature_set, json.loads(named), cfg.data.entities, token)
        before = events.drop_columns(parity.NUMBERS).slice(0, 0)
        found, _ = parity.recomputed(service.bundle.feature_set, before, events, nobody, loaded)
        assert served == np.stack([found[name] for name in NAMES], axis=1).tolist()

    def test_the_settings_of_an_endpoint_name_the_tables(self, cfg: Config, service: Service, store: Store) -> None:
        given = settings_of(cfg, store.get("models", "v1"))
        assert given.dimensions == dimensions.keys(cfg.features.tables)

    def test_a_version_whose_tables_are_not_configured_is_refused(
        self, cfg: Config, service: Service, store: Store
    ) -> None:
        version, table = store.get("models", "v1"), cfg.features.tables["terminals"]
        check_version(cfg, version)
        columns = {name: column for name, column in table.columns.items() if name != "floors"}
        for other in ({}, {"terminals": dataclasses.replace(table, columns=columns)}):
            less = dataclasses.replace(cfg, features=dataclasses.replace(cfg.features, tables=other))
            with pytest.raises(ConfigError, match=r"needs .*features\.tables\.terminals\.columns\.floors"):
                check_version(less, version)

    def test_parity_finds_the_tables_that_a_decision_was_made_from(self, cfg: Config) -> None:
        """Also where the file has another content since; a record of a version that did not say takes the config's."""
        first, other = '{"terminals": "d1"}', '{"terminals": "d2"}'
        log = pa.table({"dimensions": pa.array([first, None, first, other])})
        found = [(keys["terminals"], rows.tolist()) for keys, rows in parity_step._by_dimensions(cfg, log)]
        now = dimensions.keys(cfg.features.tables)["terminals"]
        assert found == [("d1", [1, 0, 1, 0]), (now, [0, 1, 0, 0]), ("d2", [0, 0, 0, 1])]
