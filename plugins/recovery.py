"""Bring a client to where a room's stream stands: what it missed, and no message twice."""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from chatserver import ActionError, ErrorCode, Hub, Messages, Page, RoomState
from chatserver.publications import placed

OVERHEAD: Final = 1024
"""Bytes of an answer beside its messages."""

EACH: Final = 64
"""Bytes that a message takes in an answer beside its body."""

TRIES: Final = 5
"""Reads after which a room is too busy to be caught up with."""

MOST: Final = 1000
"""Messages that a client can ask for at once."""

Offset = Annotated[int, Meta(ge=0, le=2**62)]

Given = tuple[Raw, bool]
"""Encoded events, and whether there are more to be read."""

Stream = tuple[RoomState | None, Given | None]
"""Where a room stands, and what the client is given of it, if anything."""


class Since(Struct, frozen=True):
    """Name the last position a client has seen."""

    offset: Offset
    epoch: Annotated[str, Meta(max_length=64)] = ""


def fit(limit: int, max_bytes: int, max_frame_out: int) -> tuple[int, int]:
    """Bound a page, in messages and in bytes of bodies, so that its answer fits into a frame."""
    left = max(2 * EACH, max_frame_out - OVERHEAD)
    limit = min(limit, left // 2 // EACH)
    return limit, min(max_bytes, left - limit * EACH)


async def stream(
    hub: Hub, room: str, since: Since | None, last: int | None
) -> tuple[RoomState | None, dict[str, object]]:
    """Return where a room's stream stands at this moment, and what `joined` says of it.

    Members are sent what follows on it, as long as the caller awaits nothing before it joins.

    Args:
        hub: Knows the room.
        room: The room's name.
        since: Up to where the client has seen the stream: it is given all of the rest, or nothing.
        last: How many of the newest messages it wants, where it has seen nothing.

    Raises:
        ActionError: ``unavailable``.
    """
    if since is not None:
        state, given = await _missed(hub, room, since)
        fields: dict[str, object] = {"recovered": given is not None}
    else:
        state, given = await _newest(hub, room, last) if last else (await _state(hub, room), None)
        fields = {}
    if state is not None:
        fields |= {"offset": state.top, "epoch": state.epoch}
        if since is not None or last is not None:
            fields["oldest"] = state.oldest
            if given[1] if given else state.oldest <= state.top:
                fields["more"] = True
    return state, {**fields, "messages": given[0] if given else []}


async def _state(hub: Hub, room: str) -> RoomState | None:
    for _ in range(TRIES):
        state = hub.history.position(room)
        if state.is_done:
            return state.result()
        await state
    raise ActionError(
        ErrorCode.UNAVAILABLE,
        "The room's history cannot be had right now; try again",
        retry_after=1,
    )


async def _missed(hub: Hub, room: str, since: Since) -> Stream:
    limit, max_bytes = fit(*_bounds(hub, room), hub.config.limits.max_frame_out)
    for _ in range(TRIES):
        state = await _state(hub, room)
        if state is None or not _within(state, since, limit):
            return state, None
        read = hub.history.publications(room, after=since.offset, limit=limit, max_bytes=max_bytes)
        if read.is_done:
            page = read.result()
            return state, None if page is None or page.more else (page.messages, False)
        page = await read
        if page is None or page.more:
            break
    return await _state(hub, room), None


async def _newest(hub: Hub, room: str, count: int) -> Stream:
    _, most_bytes = _bounds(hub, room)
    count, max_bytes = fit(count, most_bytes, hub.config.limits.max_frame_out)
    for _ in range(TRIES):
        page = await hub.history.messages(room, limit=count, max_bytes=max_bytes)
        if page is None:
            return None, None
        top = page.state.top
        newer = hub.history.publications(room, after=top, limit=count, max_bytes=max_bytes)
        rest = newer.result() if newer.is_done else None
        # What was read may also be ahead of what members have been sent, and that is still to come.
        if rest is not None and rest.state.epoch == page.state.epoch and rest.state.top >= top:
            if not rest.publications and rest.state.top == top:
                return page.state, (page.encoded, page.more)
            whole = _continued(page, rest, count, max_bytes)
            if whole is not None:
                return whole.state, (whole.encoded, whole.more)
    return await _state(hub, room), None


def _continued(page: Messages, rest: Page, count: int, max_bytes: int) -> Messages | None:
    """Add what was published while a page was read; None where that changed older messages."""
    if rest.more or any(each.target is not None for each in rest.publications):
        return None
    events = [*page.events, *((at, placed(each.body, at)) for at, each in rest.numbered())]
    # Meanwhile the room may have let go of some.
    kept = [event for event in events if event[0] >= rest.state.oldest]
    newest = kept[-count:]
    if not newest:
        return None
    size = sum(len(event) for _, event in newest)
    while size > max_bytes and len(newest) > 1:
        size -= len(newest.pop(0)[1])
    more = (page.more and len(kept) == len(events)) or len(newest) < len(kept)
    return Messages(rest.state, newest, more, newest[0][0])


def _bounds(hub: Hub, room: str) -> tuple[int, int]:
    rule, limits = hub.rules.find(room), hub.config.limits
    return (
        rule.recovery_limit or limits.recovery_limit,
        rule.recovery_bytes or limits.recovery_bytes,
    )


def _within(state: RoomState, since: Since, limit: int) -> bool:
    # Who joined before the first message knows no epoch, and has missed whatever there is.
    known = since.epoch == state.epoch or (not since.epoch and since.offset == 0)
    return (
        known
        and state.oldest - 1 <= since.offset <= state.top
        and state.top - since.offset <= limit
    )
