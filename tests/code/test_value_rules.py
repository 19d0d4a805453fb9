"""Every number of a config has a range: none may be negative, endless or no number at all."""

import copy
import dataclasses
import math
import re
import typing
from collections.abc import Iterator

import pytest

from workbench.config import Config
from workbench.errors import ConfigError
from workbench.validation import validate
from workbench.value_rules import lookup
from workloads import door


@pytest.fixture(scope="module")
def default() -> Config:
    return door.composed([])


def numbers(path: str, kind: type) -> Iterator[str]:
    """Every key of a section that holds a number."""
    for field in dataclasses.fields(kind):
        hint, key = typing.get_type_hints(kind)[field.name], f"{path}.{field.name}"
        if dataclasses.is_dataclass(hint):
            yield from numbers(key, typing.cast(type, hint))
        elif set(typing.get_args(hint) or [hint]) & {int, float} and typing.get_origin(hint) not in (list, dict):
            yield key


SECTIONS = ("train", "tune", "evaluate", "register", "serve", "replay", "monitor", "scaling")
NUMBERS = [key for name in SECTIONS for key in numbers(name, typing.get_type_hints(Config)[name])]


def test_every_number_is_found() -> None:
    assert len(NUMBERS) == 191


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_no_number_may_be_negative_none_or_endless(default: Config, key: str, value: float) -> None:
    cfg = copy.deepcopy(default)
    section, _, name = key.rpartition(".")
    setattr(lookup(cfg, section), name, value)
    with pytest.raises(ConfigError, match=re.escape(f"{key}={value}")):
        validate(cfg)
