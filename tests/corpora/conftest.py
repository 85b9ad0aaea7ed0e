"""The server of the tests of downloads."""

from moody_server import server

__all__ = ["server"]
