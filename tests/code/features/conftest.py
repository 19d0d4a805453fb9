"""Fixtures of the tests that need a Redis."""

from tests.code.features.redis_server import password, server

__all__ = ["password", "server"]
