"""Take the empty levels out of a full-text index.

FTS5 keeps an index in segments, on levels: the larger and older a segment is, the higher is its
level. Whenever all of them are to be merged into one, FTS5 adds a level above all others and takes
none away. It calls the index malformed once there are more than 2000 (3.40; the newest versions
make 65 at most): a server that cleans its index once a minute is there within a day.

How an index is built is told in one record (fts5_index.c, "Structure record"): four bytes, then
numbers of variable length: of levels, of segments and of writes; then for each level how many of
its segments are being merged, how many there are, and three numbers for each.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

_COOKIE: Final = 4
_EMPTY: Final = (0, 0)


def count_levels(structure: bytes) -> int:
    """Return how many levels the record tells of, the empty ones as well."""
    return next(_numbers(structure[_COOKIE:]), 0)


def without_empty_levels(structure: bytes) -> bytes:
    """Return the record of the same index without the levels that have no segment.

    A record of another version, or one that is not sound, is returned as it is.
    """
    cookie, told = structure[:_COOKIE], structure[_COOKIE:]
    numbers = _numbers(told)
    try:
        count, segments, writes = next(numbers), next(numbers), next(numbers)
        levels = [_level(numbers) for _ in range(count)]
    except (StopIteration, ValueError):
        return structure
    if next(numbers, None) is not None:
        return structure
    kept = [level for level in levels if len(level) > len(_EMPTY)]
    return cookie + b"".join(map(_written, (len(kept), segments, writes, *chain(*kept))))


def _level(numbers: Iterator[int]) -> list[int]:
    merged, segments = next(numbers), next(numbers)
    places = [*islice(numbers, 3 * segments)]
    if len(places) < 3 * segments:
        raise ValueError("the record ends too early")
    return [merged, segments, *places]


def _numbers(told: bytes) -> Iterator[int]:
    """Iterate over SQLite's numbers of variable length: 7 bits a byte, the highest ones first."""
    number = 0
    for byte in told:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            yield number
            number = 0


def _written(number: int) -> bytes:
    written = [number & 0x7F]
    while number := number >> 7:
        written.append(0x80 | number & 0x7F)
    return bytes(reversed(written))
