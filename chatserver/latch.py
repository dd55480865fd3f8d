"""Keep a client's messages in order when one of them is refused for now.

A client need not wait for one acknowledgement before it sends the next message. If one is refused
that may be sent again, those behind it must not overtake it: they get the same refusal until then.
A fault (``internal_error``) holds nothing: no client sends such a message again by itself, and
those behind it would wait for ever. A `delete` holds nothing either, and nothing holds it: it names
what is stored.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.json import Decoder

from chatserver.envelope import DECODE_ERRORS
from chatserver.errors import ActionError, ErrorCode
from chatserver.names import MAX_USER_ID
from chatserver.pairs import direct_room
from chatserver.session import Place

RETRYABLE: Final = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.DRAINING})
"""Codes after which a client sends the same message again."""

MOST: Final = 1000
"""Rooms of one connection that are held at once; beyond, the oldest is let go."""


class Latch:
    """Hold the first refusal in each room, until the message it was for comes again.

    Messages are known by their user and `cid`; those without one may be in any order. One that
    names no room goes to the room joined last, a direct one to the room of the two.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[_Line, _Held] = {}

    def __bool__(self) -> bool:
        """Tell whether anything is held, so that `check` makes a difference."""
        return bool(self._held)

    def refused(self, raw: str, place: Place, error: ActionError, *, late: bool = False) -> None:
        """Note a refusal that is for now, unless an earlier message of the room is held already.

        Args:
            raw: The text of the message.
            place: Where it came from, at the time it came.
            error: The refusal; its code is one of `RETRYABLE`.
            late: Whether the message had been let pass: then it came before all that were not.
        """
        line, cid = _read(raw, place)
        if line is None or cid is None:
            return
        held = self._held.get(line)
        if held is not None and held.cid == cid:
            return
        if held is None and len(self._held) >= MOST:
            del self._held[next(iter(self._held))]
        if held is None or (late and not held.late):
            self._held[line] = _Held(cid, error, late)

    def check(self, raw: str, place: Place) -> None:
        """Let a message pass, unless it would overtake a refused one.

        Args:
            raw: The text of the message.
            place: Where it comes from.

        Raises:
            ActionError: What the refused one got.
        """
        line, cid = _read(raw, place)
        held = None if line is None or cid is None else self._held.get(line)
        if held is None or line is None:
            return
        if cid != held.cid:
            # One object for many answers: each raise would make its trace longer.
            raise held.error.with_traceback(None)
        del self._held[line]


_Line = tuple[str, str]
"""What keeps its order: what a user sends to a room."""


class _Held(Struct, frozen=True):
    cid: str
    error: ActionError
    late: bool


class _Head(Struct, gc=False):
    action: object = None
    type: object = None
    to: Annotated[str, Meta(max_length=MAX_USER_ID)] | None = None
    room: Annotated[str, Meta(max_length=8 * MAX_USER_ID)] | None = None
    cid: Annotated[str, Meta(max_length=64)] | None = None


_head: Final = Decoder(_Head)


def _read(raw: str, place: Place) -> tuple[_Line | None, str | None]:
    if '"cid"' not in raw:
        return None, None
    try:
        head = _head.decode(raw)
    except DECODE_ERRORS:
        return None, None
    action = head.type if head.action is None else head.action
    if action == "delete":
        return None, None
    user, last_room = place
    room = last_room if head.room is None else head.room
    if action == "direct":
        room = None if head.to is None else direct_room(user, head.to)
    return None if room is None else (user, room), head.cid
