"""A data set without views still has features: its columns, by their types."""

import dataclasses

from workbench.config import ColumnConfig, FeaturesConfig
from workbench.features import columns
from workbench.features.definitions import FeatureSet
from workloads import door


def test_every_column_but_roles_times_and_free_texts_is_a_feature() -> None:
    cfg = door.composed(["experiment=credit", "features=columns"])
    more = {
        "income": ColumnConfig("number", nulls=True, minimum=0),
        "change": ColumnConfig("number", nulls=True),
        "sex": ColumnConfig("string", categories=["f", "m"]),
        "purpose": ColumnConfig("string", categories=["car", "house", "school"]),
        "town": ColumnConfig("string", categories=[f"t{n}" for n in range(50)]),
        "remark": ColumnConfig("string"),
        "seen": ColumnConfig("timestamp"),
    }
    data = dataclasses.replace(cfg.data, columns={**cfg.data.columns, **more})
    found = columns.of(data, FeaturesConfig())
    names = FeatureSet.of(found, data).names
    assert {"income", "change", "sex", "purpose=car", "town", "funded_amnt", "term"} <= set(names)
    assert not {"application_id", "applied_at", "remark", "seen"} & set(names)
    empty = {one.name: one.empty for one in found.views[0].features}
    assert (empty["income"], empty["change"], empty["funded_amnt"]) == (-1, 0, None)


def test_a_column_whose_name_the_snapshot_needs_is_a_feature_by_another_name() -> None:
    cfg = door.composed(["experiment=credit", "features=columns"])
    more = {name: ColumnConfig("number") for name in ("part", "score", "score_value", "draw")}
    more["label"] = ColumnConfig("string", categories=["low", "middle", "high"])
    data = dataclasses.replace(cfg.data, columns={**cfg.data.columns, **more})
    found = columns.of(data, FeaturesConfig())
    made = {one.column: one.name for one in found.views[0].features if one.column in more}
    assert made == {
        "part": "part_value",
        "score": "score_value_value",
        "score_value": "score_value",
        "draw": "draw_value",
        "label": "label_value",
    }
    assert {"part_value", "label_value=low"} <= set(FeatureSet.of(found, data).names)


def test_views_that_are_there_stay() -> None:
    cfg = door.composed(["experiment=credit"])
    assert columns.completed(cfg) is cfg
    bare = door.composed(["experiment=credit", "features=columns"])
    assert columns.completed(bare).features.views
    assert not bare.features.views
