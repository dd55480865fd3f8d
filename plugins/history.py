"""Let members read what was said in their rooms."""

from typing import Annotated

from msgspec import Meta, Struct

from chatserver import (
    ActionError,
    Context,
    ErrorCode,
    Hub,
    Messages,
    NoConfig,
    Outcome,
    Pending,
    Plugin,
    Reply,
    Right,
    RoomState,
    action,
)

from .chat import Target
from .recovery import MOST, Offset, fit
from .turns import Turns


class History(Struct, frozen=True):
    """Ask for a part of a room's history, by default its newest messages."""

    room: str | None = None
    since: Offset | None = None
    before: Offset | None = None
    thread: Target | None = None
    pinned: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 50


class HistoryPlugin(Plugin[NoConfig]):
    """Offer `history`."""

    async def startup(self, hub: Hub) -> None:
        """Begin with nobody who reads."""
        self._turns = Turns()

    @action("history")
    async def history(self, ctx: Context, msg: History) -> Outcome:
        """Read behind an offset or before one, a thread, or what is pinned.

        A page ends below the largest frame.
        Changes are folded into the messages they are about, unless the asker has these already.
        """
        room = ctx.require_room(msg.room, Right.READ)
        _check(msg)
        most = ctx.hub.config.limits.max_frame_out
        limit, max_bytes = fit(msg.limit, most, most)
        history = ctx.hub.history

        def read() -> Pending[Messages | None]:
            # Who waited for a turn may have left.
            ctx.require_room(room, Right.READ)
            if msg.pinned:
                return history.pinned(room, before=msg.before, limit=limit, max_bytes=max_bytes)
            if msg.thread is not None:
                return history.thread(
                    room, msg.thread, after=msg.since or 0, limit=limit, max_bytes=max_bytes
                )
            return history.messages(
                room, after=msg.since, before=msg.before, limit=limit, max_bytes=max_bytes
            )

        return self._turns.take(ctx.session, read).then(lambda page: _reply(room, page))


def _check(msg: History) -> None:
    forwards = (msg.since, msg.thread) != (None, None)
    for field, backwards in (("before", msg.before is not None), ("pinned", msg.pinned)):
        if forwards and backwards:
            raise ActionError(
                ErrorCode.BAD_PAYLOAD, f"Give {field} without since and thread", field=f"$.{field}"
            )


def _reply(room: str, page: Messages | None) -> Reply:
    page = page or Messages(RoomState(), [], more=False, next=0)
    fields: dict[str, object] = {"room": room, "messages": page.encoded}
    fields |= {"offset": page.state.top, "epoch": page.state.epoch, "oldest": page.state.oldest}
    fields["more"] = page.more
    if page.more:
        fields["next"] = page.next
    return Reply("history", **fields)
