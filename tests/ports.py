"""Keep ports for whoever has to be told one before anybody listens there."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """Keep a port of 127.0.0.1 from all that take any free one, such as the other workers' servers.

    Nobody listens there but who is told to, and sets SO_REUSEADDR as servers do; again and again,
    if need be. On other systems than Linux that may be refused.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
