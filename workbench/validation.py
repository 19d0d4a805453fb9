"""What is wrong with a configuration beyond its types: every fault at once, each with key, value, rule and remedy."""

from collections.abc import Iterator

from workbench import (
    decision_rules,
    family_rules,
    network_rules,
    scaling,
    serve_rules,
    split_rules,
    storage_rules,
    value_rules,
)
from workbench.config import FAMILIES, Config
from workbench.data import declaration
from workbench.errors import ConfigError, raise_all
from workbench.evaluation import rules
from workbench.features import definitions
from workbench.features.definitions import FeatureSet
from workbench.governance import access_rules
from workbench.release import sagemaker_config
from workbench.tuning import rules as tuning


def validate(cfg: Config) -> Config:
    """The same config, or one `ConfigError` that lists every fault that types cannot show."""
    faults = [*value_faults(cfg), *declaration.faults(cfg.data), *split_rules.faults(cfg), *rules.faults(cfg)]
    faults += sagemaker_config.faults(cfg)
    raise_all(ConfigError, "The configuration is wrong:", faults)
    return cfg


def check_learning(cfg: Config) -> None:
    """Raise `ConfigError` where data set, features and split do not fit; what needs them all asks this first."""
    raise_all(ConfigError, "The data set, its features and its split do not fit:", list(_learning_faults(cfg)))


def value_faults(cfg: Config) -> Iterator[str]:
    """What is wrong with values, alone and beside others of their section."""
    yield from value_rules.faults(cfg)
    yield from family_rules.choice_faults(cfg.train)
    yield from network_rules.faults(cfg.train)
    yield from rules.table_faults(cfg.evaluate)
    yield from decision_rules.faults(cfg)
    yield from storage_rules.faults(cfg)
    yield from serve_rules.name_faults(cfg.serve)
    yield from family_rules.faults(cfg.train)
    yield from serve_rules.faults(cfg.serve)
    yield from access_rules.faults(cfg.serve.access, cfg.keys)
    trained = {family: getattr(cfg.train, family) for family in cfg.train.families if family in FAMILIES}
    yield from scaling.faults(cfg.scaling, trained)
    yield from tuning.objective_faults(cfg.tune)


def _learning_faults(cfg: Config) -> Iterator[str]:
    yield from rules.unknown_columns(cfg)
    yield from (wrong := list(definitions.faults(cfg.features, cfg.data)))
    if not wrong:
        names = FeatureSet.of(cfg.features, cfg.data).names
        yield from network_rules.learning_faults(cfg.train, names)
        yield from family_rules.direction_faults(cfg.train, names)
    yield from split_rules.learning_faults(cfg)
