"""Read the server's frames."""

from typing import Final

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from chatserver.client.events import Erased, Event, Message, Notification, Publication
from chatserver.errors import ActionError, ErrorCode


class Frame(Struct, frozen=True, gc=False):
    """Hold what the client needs of a frame before it knows what it is."""

    action: str | None = None
    id: int | str | None = None
    room: str | None = None
    offset: int | None = None


class Failure(Struct, frozen=True):
    """Hold an error reply."""

    code: str = ErrorCode.INTERNAL_ERROR
    message: str = ""
    field: str | None = None
    retry_after: float | None = None


class Return(Struct, frozen=True):
    """Hold the event `reconnect`."""

    after_ms: float = 0.0


read_frame: Final = Decoder(Frame).decode
"""Read the head of a frame; msgspec.DecodeError where it is no JSON object."""

_fields: Final = Decoder(dict[str, object]).decode
_failure: Final = Decoder(Failure).decode
_return: Final = Decoder(Return).decode
_message: Final = Decoder(Message).decode
_notification: Final = Decoder(Notification).decode


def read_event(frame: Frame, raw: str | Raw) -> Message | Notification | Event:
    """Read an event that has a name; a plugin's own of a built-in's name is an `Event`, too."""
    try:
        if frame.action == "message":
            return _message(raw)
        if frame.action == "notification":
            return _notification(raw)
    except ValidationError:
        pass
    return Event(
        action=frame.action or "", room=frame.room, fields=_fields(raw), offset=frame.offset
    )


def read_events(room: str, messages: list[Raw]) -> list[Publication]:
    """Read the events of a page of a room's history; erased ones have no name."""
    events: list[Publication] = []
    for raw in messages:
        frame = read_frame(raw)
        if frame.action is None and frame.offset is not None:
            events.append(Erased(room=room, offset=frame.offset))
        else:
            events.append(read_event(frame, raw))
    return events


def read_error(raw: str) -> ActionError:
    """Read an error reply; one whose fields are not those of the protocol says nothing but that."""
    try:
        found = _failure(raw)
    except ValidationError:
        found = Failure(message="The server answered with an error that cannot be read")
    return ActionError(found.code, found.message, field=found.field, retry_after=found.retry_after)


def read_return(raw: str) -> float:
    """Read the event `reconnect`: the seconds after which to come back, 0 where it has no time."""
    try:
        return _return(raw).after_ms / 1000
    except ValidationError:
        return 0.0
