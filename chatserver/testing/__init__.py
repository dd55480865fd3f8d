"""Test plugins and middlewares against a real server over real sockets.

In a conftest.py: ``pytest_plugins = ["chatserver.testing.fixtures"]``; then tests take the `chat`
fixture. Without pytest, `ChatServer` is an async context manager.
"""

from chatserver.testing.kit import ChatServer, Frame, Peer

__all__ = ["ChatServer", "Frame", "Peer"]
