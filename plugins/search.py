"""Let members find what was said in their rooms."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from chatserver import (
    Context,
    Found,
    Hub,
    NoConfig,
    Outcome,
    Pending,
    Plugin,
    Reply,
    Right,
    action,
)
from chatserver.pairs import is_direct

from .recovery import Offset, fit
from .turns import Turns

MOST: Final = 100
"""Messages that one search brings at most."""

MOST_DIRECT: Final = 100
"""Direct rooms that are searched where no room is named."""


class Search(Struct, frozen=True):
    """Look for messages with some words, the newest first."""

    text: Annotated[str, Meta(min_length=1, max_length=256)]
    room: str | None = None
    before: Offset | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class SearchPlugin(Plugin[NoConfig]):
    """Offer `search`."""

    async def startup(self, hub: Hub) -> None:
        """Begin with nobody who searches."""
        self._turns = Turns()

    @action("search")
    async def search(self, ctx: Context, msg: Search) -> Outcome:
        """Search the room that is named, or all the sender is in and may read, direct ones too."""
        hub, session = ctx.hub, ctx.session
        if msg.room is None:
            direct = await hub.history.direct_rooms(session.user.id, after="", limit=MOST_DIRECT)
            rooms = [*hub.joined(session), *direct]
        else:
            rooms = [ctx.require_room(msg.room, Right.READ)]
        most = hub.config.limits.max_frame_out
        limit, max_bytes = fit(msg.limit, most, most)

        def search() -> Pending[Found]:
            # Who waited for a turn may have left some of them.
            joined = hub.joined(session)
            readable = [
                room
                for room in rooms
                if (room in joined or is_direct(room)) and hub.allows(session, Right.READ, room)
            ]
            return hub.history.search(
                readable, msg.text, before=msg.before, limit=limit, max_bytes=max_bytes
            )

        return self._turns.take(session, search).then(_reply)


def _reply(found: Found) -> Reply:
    more = {} if found.next is None else {"next": found.next}
    return Reply("search", results=found.encoded, more=bool(more), **more)
