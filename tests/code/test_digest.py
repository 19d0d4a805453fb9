"""Keys depend on what they should, and on nothing else."""

from workbench.config import SplitConfig
from workbench.digest import canonical, digest


def test_the_order_of_keys_does_not_matter() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_every_value_matters() -> None:
    assert digest(SplitConfig(kind="time", seed=0)) != digest(SplitConfig(kind="time", seed=1))


def test_a_digest_never_changes_between_releases() -> None:
    assert digest("ingest", 1, {"seed": 0}) == "aa574882ffc9ba86"


def test_dataclasses_are_written_as_objects() -> None:
    assert canonical(SplitConfig(kind="time")).startswith(b'{"delay_days":7,"exclude_known":null,"folds":1,')
