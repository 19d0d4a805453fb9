"""The reference of all keys is complete and true."""

from workbench import config_tables


def test_every_key_has_a_meaning() -> None:
    assert config_tables.undocumented() == []


def test_the_file_of_keys_lists_every_key_as_the_schema_has_it() -> None:
    assert config_tables.KEYS.read_text() == config_tables.written(), "run `python -m workbench.config_tables`"
