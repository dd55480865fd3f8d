"""Say what stands in an export: one JSON object a line.

The first line is a `Header`. A `RoomLine` comes before the publications of its room, which come in
the order of their offsets.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

FORMAT: Final = 1
"""The version of the format."""


ERASED: Final = Raw(b"null")
"""Stands for an event that was erased or has expired."""


class Header(Struct, frozen=True, tag_field="is", tag="export"):
    """Begin an export.

    Attributes:
        format: The version of the format.
        exported: When, as RFC 3339.
    """

    format: int
    exported: str


class RoomLine(Struct, frozen=True, tag_field="is", tag="room", omit_defaults=True):
    """Describe a room.

    Attributes:
        room: Its name.
        floor: The first offset still kept.
        top: The last offset given.
    """

    room: str
    floor: int
    top: int


class PublicationLine(Struct, frozen=True, tag_field="is", tag="publication", omit_defaults=True):
    """Hold one publication.

    Attributes:
        room: The room's name.
        offset: Its place.
        timestamp: When it was made, as RFC 3339.
        event: What members got, without its offset; null once erased or expired.
        kind: What the event is called; None where only the `cid` is left.
        user: The author's user id, if anybody's.
        cid: The author's own id for it.
        checksum: Tells, when the same `cid` is used again, whether it is for the same.
        target: The offset of the publication it changes.
    """

    room: str
    offset: int
    timestamp: str
    event: Raw
    kind: str | None = None
    user: str = ""
    cid: str | None = None
    checksum: int | None = None
    target: int | None = None


Line = Header | RoomLine | PublicationLine
"""Whatever an export has."""

encode: Final = Encoder().encode
"""Encode a line, without its line feed."""

decode: Final[Callable[[bytes], Line]] = Decoder(Line).decode
"""Decode a line; raises what `chatserver.envelope.DECODE_ERRORS` lists."""
