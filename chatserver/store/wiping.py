"""Wipe what SQLite leaves in the parts of pages that it does not use.

Where others are removed, rows move to another page, and their bytes may stay in the one they come
from: between its list of rows and the first row, where `secure_delete` does not reach. Whoever
deletes such a row later would leave its text in the file. No program reads these bytes (SQLite's
file format, 1.6, the unallocated region), so they are overwritten in the file itself; nothing that
is used is touched, and a crash halfway does no harm.
"""

import os
from errno import EAGAIN
from pathlib import Path
from struct import Struct
from typing import Final

MOST_PAGES: Final = 2**25
"""Pages of a file that are too many: with fewer, the first byte tells whether a page lists rows.

The others begin with the number of a page. A file of 128 GiB has so many.
"""

_MAGIC: Final = b"SQLite format 3\0"
_FILE_HEADER: Final = 100
_HEADERS: Final = {2: 12, 5: 12, 10: 8, 13: 8}
_COUNTS: Final = Struct(">HHH")
_LOCKED_BYTE: Final = 0x40000000
_ZEROS: Final = bytes(65536)


class Wiper:
    """Wipe a file, some pages at a time.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._log = self._path.with_name(f"{self._path.name}-wal")
        self._file: int | None = None
        self._is_synced = True

    def close(self) -> None:
        """Let go of the file, behind all connections of this process to it.

        Whoever closes a file takes the locks away that others in the process have on it (POSIX);
        so it stays open until then.
        """
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def wipe(self, first: int, count: int) -> tuple[int, bool]:
        """Wipe some pages; return how many had something to wipe, and whether there are more.

        Nobody may write to the file meanwhile, and the log has to be empty: what it has would be
        written over. Connections that have pages in memory bring back what these have there.

        Args:
            first: The first page, counted from 0.
            count: How many.

        Raises:
            BlockingIOError: Something is in the log.
            OSError: The file cannot be read or written.
        """
        if self._log.exists() and self._log.stat().st_size:
            raise BlockingIOError(EAGAIN, "something is in its log")
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR)
        size = _page_size(os.pread(self._file, _FILE_HEADER, 0))
        pages = os.fstat(self._file).st_size // size if size else 0
        if not first < pages < MOST_PAGES:
            return 0, False
        more = first + count < pages
        # After a failure the system takes what is only in memory for written.
        again = not self._is_synced
        wiped = self._wipe(self._file, first * size, min(count, pages - first), size, again)
        if wiped:
            self._is_synced = False
            os.fdatasync(self._file)
        self._is_synced = not again or not more
        return wiped, more

    def _wipe(self, file: int, place: int, count: int, size: int, again: bool) -> int:
        wiped = 0
        data = os.pread(file, count * size, place)
        for start in range(0, len(data), size):
            skipped = 0 if place + start else _FILE_HEADER
            begin, end = unallocated(data, start, size, skipped)
            zeros = _ZEROS[: end - begin]
            if (again or data[begin:end] != zeros) and place + start != _LOCKED_BYTE:
                os.pwrite(file, zeros, place + begin)
                wiped += 1
        return wiped


def unallocated(data: bytes, start: int, size: int, skipped: int) -> tuple[int, int]:
    """Return where the part of a page is that is not used: its first byte, and the one behind it.

    It is empty where the page is of another kind, or not as SQLite makes it.

    Args:
        data: The page, and others.
        start: Where in `data` it begins.
        size: Bytes of a page.
        skipped: Bytes of it before its header: those of the file's own, in the first page.
    """
    length = _HEADERS.get(data[start + skipped])
    if length is None:
        return start, start
    free, rows, content = _COUNTS.unpack_from(data, start + skipped + 1)
    behind = skipped + length + 2 * rows
    content = content or 65536
    if not behind <= content <= size or 0 < free < content:
        return start, start
    places = Struct(f">{rows}H").unpack_from(data, start + behind - 2 * rows)
    if min(places, default=content) < content:
        return start, start
    return start + behind, start + content


def _page_size(header: bytes) -> int:
    """Return the bytes of a page; 0 where pages are not told by their first byte."""
    if header[:16] != _MAGIC or header[52:56] != bytes(4):
        # With `auto_vacuum` there are pages that begin with other small numbers.
        return 0
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size
