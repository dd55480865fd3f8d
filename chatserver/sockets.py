"""Open the sockets a server listens on, or say in one line why that cannot be."""

import errno
import logging
import os
import resource
import socket
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

PROBE_TIMEOUT: Final = 2.0
"""Seconds a server may take to accept the connection by which we see that it lives."""

OTHER_FILES: Final = 100
"""Files set aside for what is no connection: listeners, the log, the loop's own."""

log = logging.getLogger("chatserver.server")

_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_ADVICE: Final = {
    errno.EADDRINUSE: "the address is in use; stop the other server or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "permission denied; choose a port above 1023 or another path",
}


def open_tcp(hosts: Sequence[str], port: int, backlog: int) -> list[socket.socket]:
    """Listen on all addresses of some hosts.

    A name may stand for several, such as ``localhost`` for one of IPv4 and one of IPv6; those that
    the machine does not have are left out as long as the name has another.

    Args:
        hosts: Names or addresses.
        port: The port; with 0 each address gets a free one.
        backlog: Connections that may wait to be accepted.

    Raises:
        OSError: One cannot be listened on; the message says which and why.
    """
    with ExitStack() as opened:
        sockets: dict[object, socket.socket] = {}
        for host in hosts:
            absent: OSError | None = None
            resolved = _resolve(host, port)
            for family, address in resolved:
                if address in sockets:
                    continue
                try:
                    sockets[address] = _listen(family, address, backlog)
                except OSError as error:
                    failure = _failure(_shown(str(address[0]), port), error)
                    if error.errno not in _ABSENT:
                        raise failure from error
                    absent = failure
                else:
                    opened.enter_context(closing(sockets[address]))
            if absent is not None and not any(address in sockets for _, address in resolved):
                raise absent
        opened.pop_all()
        return list(sockets.values())


def raise_file_limit(connections: int) -> None:
    """Let the process open as many files as it may, and warn if that is too few.

    Args:
        connections: How many there can be at once; each is a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            log.warning(
                "only %d files may be open at once, too few for max_connections %d:"
                " raise the limit (ulimit -n, LimitNOFILE) or lower max_connections",
                soft,
                connections,
            )


def make_room(path: Path) -> None:
    """Remove the file that a server which has died left of its unix socket.

    Raises:
        OSError: A server listens there, or the file is something else.
    """
    if not path.is_socket():
        if path.exists():
            raise _failure(f"unix:{path}", OSError("the file is no socket; choose another path"))
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_TIMEOUT)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass
        except OSError as error:
            raise _failure(f"unix:{path}", error) from error
    busy = OSError("a server listens there; stop it or choose another path")
    raise _failure(f"unix:{path}", busy)


class SocketFile:
    """Own the file of a unix socket.

    Args:
        path: The file, which exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the file, unless another server has put its own in its place."""
        if _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)


def unix_failure(path: Path, error: OSError) -> OSError:
    """Return the error of a unix socket that cannot be listened on, with a line for people."""
    return _failure(f"unix:{path}", error)


def _resolve(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _failure(_shown(host, port), error) from error
    except UnicodeError as error:
        raise _failure(_shown(host, port), OSError("that is no host name")) from error
    return [(family, address) for family, _, _, _, address in found]


def _listen(family: int, address: tuple[object, ...], backlog: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(backlog)
    except OSError:
        opened.close()
        raise
    return opened


def _failure(where: str, error: OSError) -> OSError:
    if error.errno in _ADVICE and not isinstance(error, socket.gaierror):
        why = _ADVICE[error.errno]
    else:
        why = error.strerror or str(error)
    return OSError(error.errno or errno.EINVAL, f"cannot listen on {where}: {why}")


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
