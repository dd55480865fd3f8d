"""Name places in a room's history."""

from msgspec import Struct


class Position(Struct, frozen=True, order=True, gc=False):
    """Point into a stream of publications.

    Attributes:
        epoch: The incarnation of the stream; offsets of different epochs do not compare.
        offset: 1 for the first publication; 0 stands before it.
    """

    epoch: str
    offset: int
