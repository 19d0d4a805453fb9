"""Errors survive the way from a worker to the driver and name all faults."""

import pickle

import pytest

from workbench import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [(errors.GateRefused, 1), (errors.ConfigError, 2), (errors.InputError, 3), (errors.EnvironmentFault, 3)],
)
def test_each_error_keeps_message_and_exit_code_across_processes(kind: type[errors.WorkbenchError], code: int) -> None:
    copy = pickle.loads(pickle.dumps(kind("serve.port=1 is taken. Use another.")))
    assert (str(copy), copy.exit_code) == ("serve.port=1 is taken. Use another.", code)


def test_all_faults_come_in_one_error() -> None:
    with pytest.raises(errors.ConfigError, match="two faults:\n  - first\n  - second"):
        errors.raise_all(errors.ConfigError, "two faults:", ["first", "second"])


def test_no_fault_raises_nothing() -> None:
    errors.raise_all(errors.ConfigError, "none", [])
