"""Parse client messages and encode the server's (docs/protocol.md, "Envelope")."""

import re
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Struct, ValidationError
from msgspec.json import Decoder, Encoder

from chatserver.errors import ActionError, ErrorCode

MAX_ID = 64
"""Characters a textual request id may have."""

MAX_REFUSED = 128 * 1024
"""Characters of a refused message that are still looked through for its id."""

Key = Literal["action", "type"]
"""Which word the client uses for the name of a message; answers use the same."""

RequestId = int | str
"""What a client may send as `id`."""

DECODE_ERRORS = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bad input: nesting and broken UTF-8 leave by their own exceptions."""


class Envelope(Struct, frozen=True, gc=False):
    """Hold one parsed message.

    Attributes:
        key: ``action`` or ``type``, whichever named the action.
        action: The action's name, or None where the message names none.
        id: The client's request id, if it gave one.
        raw: The text of the message; its payload is decoded later, by the action's own type.
        size: Bytes of the message as UTF-8.
        plain: Whether the client sent plain text, and so expects plain text back.
    """

    key: Key
    action: str | None
    id: RequestId | None
    raw: str
    size: int
    plain: bool = False


class _Head(Struct, gc=False):
    action: str | None = None
    type: str | None = None
    id: (
        Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
        | Annotated[str, Meta(max_length=MAX_ID)]
        | None
    ) = None


class Sent(Struct, tag_field="action", tag="sent", omit_defaults=True, frozen=True, gc=False):
    """Answer a message that was published; what has its default is left out."""

    id: RequestId
    room: str
    timestamp: str
    offset: int | None = None
    epoch: str | None = None
    cid: str | None = None
    duplicate: bool = False


class SentByType(Sent, tag_field="type", tag="sent", omit_defaults=True, frozen=True, gc=False):
    """Answer a client that says ``type``."""


class NotJsonError(ActionError):
    """Report a frame that is no JSON object: plain text, or JSON gone wrong."""


# An escaped NUL in sound JSON; pairs of backslashes before it are text, so it still counts.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_MISSING = re.compile("Object missing required field `(.+)`")

_head = Decoder(_Head)
_encoder = Encoder()


def parse(raw: str) -> Envelope:
    """Parse the head of one message and check that all of it is sound JSON.

    Args:
        raw: The text of one WebSocket message.

    Raises:
        NotJsonError: `raw` is not a JSON object (code ``bad_json``).
        ActionError: ``bad_payload`` for a head field of the wrong type or a NUL character.
    """
    size = len(raw) if raw.isascii() else len(raw.encode())
    try:
        head = _head.decode(raw)
    except ValidationError as error:
        if "got `object`" not in str(error) and "`$." not in str(error):
            raise NotJsonError(ErrorCode.BAD_JSON, "A message must be a JSON object") from None
        raise payload_error(error) from None
    except RecursionError:
        raise NotJsonError(ErrorCode.BAD_JSON, "The JSON is nested too deeply") from None
    except DECODE_ERRORS as error:
        raise NotJsonError(ErrorCode.BAD_JSON, f"Not valid JSON: {error}") from None
    if "\\u0000" in raw and _NUL.search(raw):
        raise ActionError(ErrorCode.BAD_PAYLOAD, "NUL characters are not allowed")
    if head.action is None and head.type is not None:
        return Envelope("type", head.type, head.id, raw, size)
    return Envelope("action", head.action, head.id, raw, size)


def address_of(raw: str) -> Envelope | None:
    """Return key and id of a message that is refused unread, so that the error can name it.

    None where there is nothing to find, or too much to look through: 128 Ki characters.
    """
    if len(raw) > MAX_REFUSED:
        return None
    try:
        head = _head.decode(raw)
    except DECODE_ERRORS:
        return None
    key: Key = "type" if head.action is None and head.type is not None else "action"
    return Envelope(key, head.action or head.type, head.id, "", 0)


def plain_text(text: str, action: str) -> Envelope:
    """Return the envelope of a frame that is no JSON object, taken for an action with a `text`."""
    raw = _encoder.encode({"action": action, "text": text}).decode()
    return Envelope("action", action, None, raw, len(text.encode()), plain=True)


def payload_error(error: Exception) -> ActionError:
    """Turn a decoder's complaint into ``bad_payload`` with the field's path, if it names one."""
    message, _, path = str(error).partition(" - at `")
    path = path.rstrip("`")
    missing = _MISSING.fullmatch(message)
    if missing is not None:
        path = f"{path or '$'}.{missing[1]}"
    return ActionError(ErrorCode.BAD_PAYLOAD, message, field=path or None)


def unknown_action(envelope: Envelope) -> ActionError:
    """Return the error for an action nobody offers, in the client's own word."""
    return ActionError(
        ErrorCode.UNKNOWN_ACTION, f"Unknown {envelope.key}: {printable(envelope.action)}"
    )


def printable(text: str | None, limit: int = 64) -> str:
    """Return text from a client fit for a message or log: one line, bounded."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[:limit] + "…"


def encode(key: Key, name: str, id: RequestId | None, fields: dict[str, object]) -> bytes:
    """Encode a reply: the result's name under the client's key, its id, then the fields."""
    if id is None:
        return _encoder.encode({key: name, **fields})
    return _encoder.encode({key: name, "id": id, **fields})


encode_sent: Callable[[Sent], bytes] = _encoder.encode
"""Encode the answer to a message that was published."""

encode_event: Callable[[dict[str, object]], bytes] = _encoder.encode
"""Encode an event, whose name stands under ``action``."""


def encode_error(key: Key, id: RequestId | None, error: ActionError) -> bytes:
    """Encode an error reply."""
    fields: dict[str, object] = {"code": error.code, "message": error.message}
    if error.field is not None:
        fields["field"] = error.field
    if error.retry_after is not None:
        fields["retry_after"] = round(error.retry_after, 3)
    return encode(key, "error", id, fields)
