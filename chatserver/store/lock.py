"""Keep a second server, or a command that writes, away from a live store."""

import fcntl
import os
from pathlib import Path

from chatserver.errors import StoreError


class Lock:
    """Hold an exclusive lock beside a file until closed; the kernel frees it if the process dies.

    The lock's file stays: removing it would let two processes lock two files of one name.

    Args:
        path: The file to protect.

    Raises:
        StoreError: Another process has it, or the folder cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        beside = path.with_name(f"{path.name}.lock")
        try:
            self._file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"{beside} cannot be written ({error.strerror}); give the server the right to write"
                " to this folder, or choose another one"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreError(
                f"{path} is in use by process {holder or '(unknown)'}; stop that one first"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let others have the file."""
        os.close(self._file)
