"""A real, tiny model version and the settings of an endpoint that serves it."""

import datetime as dt
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from serve.service import Service
from serve.settings import Settings
from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.data import labels
from workbench.data.store import Artifact, Store
from workbench.features.definitions import FeatureSet
from workbench.governance.keys import Keys, api_key_digest
from workbench.models import bundle, graph
from workloads import door

API_KEY = "wb_test"
ACCESS = door.composed([]).serve.access  # the table that is shipped
EVENT = {"id": 1, "time": "2018-08-15T09:00:00Z", "customer": 596, "amount": 100}
COLUMNS = {
    "id": ColumnConfig(type="integer", example="1"),
    "time": ColumnConfig(type="timestamp", example="2018-08-15T09:00:00Z"),
    "customer": ColumnConfig(type="integer", example="596"),
    "amount": ColumnConfig(type="money", minimum=0, example="100"),
}
DATA = DataConfig(
    name="small", id="id", event_time="time", entities=["customer"], columns=COLUMNS, label=LabelConfig(delay_days=1)
)
VIEWS = [
    ViewConfig(name="row", features=[FeatureConfig(name="amount", kind="column", column="amount")]),
    ViewConfig(
        name="customer",
        entity=["customer"],
        windows=["7d"],
        current_row=True,
        features=[
            FeatureConfig(name="n", kind="count"),
            FeatureConfig(name="risk", kind="known_positive_rate", empty=0),
        ],
    ),
]
FEATURES = FeatureSet.of(FeaturesConfig(views=VIEWS), DATA)


def member(width: int) -> bytes:
    """A linear member: log-odds are the sum of the features, scaled."""
    weights = numpy_helper.from_array(np.full(width, 0.001, np.float32), "w")
    node = helper.make_node("MatMul", [graph.INPUT, "w"], [graph.OUTPUT], name="sum")
    inputs = [helper.make_tensor_value_info(graph.INPUT, TensorProto.FLOAT, ["N", width])]
    outputs = [helper.make_tensor_value_info(graph.OUTPUT, TensorProto.FLOAT, ["N"])]
    made = helper.make_graph([node], "member", inputs, outputs, [weights])
    opset = [helper.make_opsetid("", graph.OPSET)]
    return bytes(helper.make_model(made, opset_imports=opset, ir_version=graph.IR_VERSION).SerializeToString())


def version(
    store: Store,
    name: str,
    features: FeatureSet = FEATURES,
    model: bytes | None = None,
    threshold: float = 0.5,
    data: str = "small",
) -> Artifact:
    """A signed version; `model`: its whole graph, or the linear one."""
    width = len(features.names)
    files = {
        "model.onnx": model or graph.merge({"linear": member(width)}, [1.0], 0.0, width),
        "features.json": json.dumps(features.to_json()).encode(),
        "reference.json": b"{}",
        "card.json": json.dumps({"data": data, "experiment": "small"}).encode(),
    }
    about = {"members": ["linear"], "weights": [1.0], "threshold": threshold}
    return bundle.write(store, name, files, about, Keys(os.environ["WORKBENCH_KEYS"]).signing(), {}, {})


def settings(store: Store, folder: Path, data: DataConfig = DATA, features: FeatureSet = FEATURES) -> Settings:
    """Settings of a fresh endpoint without history."""
    keys = Keys(os.environ["WORKBENCH_KEYS"])
    version(store, "v1", features, data=data.name)
    nothing = pa.array([], labels.TIME)
    empty = labels.rows(
        "id", pa.array([], pa.int64()), pa.array([], pa.int8()), nothing, nothing,
        source="test", channel="source", recorded_at=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    labels.ledger(store, "raw").append(empty, "seed", 1)
    return Settings(
        application="small",
        store=store.root,
        version="v1",
        public_key=keys.verifying().public_bytes_raw().hex(),
        api_key_digest=api_key_digest(API_KEY),
        keys_folder=os.environ["WORKBENCH_KEYS"],
        data=data,
        raw_key="raw",
        validated_key="none",
        history_until_us=None,
        journal=str(folder / "journal"),
        compact_every_s=3600,
        max_body_bytes=4096,
        ahead_days=400.0,
        access=ACCESS,
    )


def die(service: Service) -> None:
    """What the kernel does with the files of a process that is killed."""
    for journal in (service.predictions, service.feedback, service.corrections, service.shadows.journal):
        os.close(journal._file)
    if service.alive is not None:
        os.close(service.alive)
