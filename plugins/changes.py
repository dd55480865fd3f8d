"""Let users change what was said: edit and delete their messages, react to any, pin some.

They may also see who reacted: a history tells only the first of many.
"""

import unicodedata
from typing import Annotated, Final

from msgspec import Meta, Struct

from chatserver import (
    ActionError,
    Context,
    ErrorCode,
    Guard,
    Hub,
    Outcome,
    Pending,
    Plugin,
    Reply,
    Right,
    action,
)
from chatserver.fold import Reactions
from chatserver.guard import missing

from .chat import Target
from .paging import Page
from .sent import Cid, acknowledge
from .turns import Turns

MOST: Final = 32
"""Code points of a reaction; some emojis are made of ten."""

# What joins and varies emojis is allowed; what breaks a line or turns it around is not.
_REFUSED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNS: Final = frozenset({"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"})


class ChangesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Configure what may be changed.

    Attributes:
        edit_window: Seconds in which authors may edit or delete a message; None is for ever.
        max_changes: Changes of one message up to which it can be reacted to; its author can edit it
            up to twice as many, moderators pin it up to three times, so that nobody's reactions
            take that from them. It can always be deleted.
    """

    edit_window: Annotated[float, Meta(gt=0)] | None = 86400
    max_changes: Annotated[int, Meta(ge=1)] = 1000


class Edit(Struct, frozen=True):
    """Give a message another text."""

    offset: Target
    text: str
    room: str | None = None
    cid: Cid | None = None


class Delete(Struct, frozen=True):
    """Erase a message."""

    offset: Target
    room: str | None = None
    cid: Cid | None = None


class React(Struct, frozen=True):
    """React to a message with an emoji or a short word, or take that back."""

    offset: Target
    emoji: str
    remove: bool = False
    room: str | None = None
    cid: Cid | None = None


class Pin(Struct, frozen=True):
    """Pin a message to its room, or take it off."""

    offset: Target
    remove: bool = False
    room: str | None = None
    cid: Cid | None = None


class WhoReacted(Struct, frozen=True):
    """Ask who has reacted to a message, from behind a number of reactions."""

    offset: Target
    room: str | None = None
    after: Annotated[int, Meta(ge=0)] = 0


class ChangesPlugin(Plugin[ChangesConfig]):
    """Offer `edit`, `delete`, `react`, `pin` and `reactions`.

    Each but the last publishes to the room's stream; whether it may is judged where it gets its
    place there.
    """

    Config = ChangesConfig

    async def startup(self, hub: Hub) -> None:
        """Begin with nobody who asks for reactions."""
        self._turns = Turns()

    @action("edit")
    async def edit(self, ctx: Context, msg: Edit) -> Outcome:
        """Publish another text for the sender's own message."""
        room = ctx.require_room(msg.room)
        guard = Guard(
            author=ctx.session.user.id,
            within=self.config.edit_window,
            kind="message",
            most=2 * self.config.max_changes,
        )
        return self._publish(ctx, room, "edit", msg, {"text": msg.text}, guard)

    @action("delete")
    async def delete(self, ctx: Context, msg: Delete) -> Outcome:
        """Erase the sender's own message, or a moderator anybody's."""
        _, last = ctx.session.place
        named = msg.room or last
        moderates = named is not None and ctx.hub.allows(ctx.session, Right.MODERATE, named)
        room = ctx.require_room(msg.room, Right.MODERATE if moderates else Right.WRITE)
        own = Guard(author=ctx.session.user.id, within=self.config.edit_window)
        guard = Guard() if moderates else own
        return self._publish(ctx, room, "delete", msg, {}, guard, erases=True)

    @action("react")
    async def react(self, ctx: Context, msg: React) -> Outcome:
        """Publish a reaction to anybody's message."""
        room = ctx.require_room(msg.room)
        fields = {"emoji": _clean(msg.emoji), "remove": msg.remove}
        guard = Guard(most=self.config.max_changes)
        return self._publish(ctx, room, "reaction", msg, fields, guard)

    @action("pin")
    async def pin(self, ctx: Context, msg: Pin) -> Outcome:
        """Publish that a message is to be kept in view."""
        room = ctx.require_room(msg.room, Right.MODERATE)
        guard = Guard(most=3 * self.config.max_changes)
        return self._publish(ctx, room, "pin", msg, {"remove": msg.remove}, guard)

    @action("reactions")
    async def reactions(self, ctx: Context, msg: WhoReacted) -> Outcome:
        """List all who have reacted to a message, by emoji, in the order they did."""
        room = ctx.require_room(msg.room, Right.READ)
        page = Page(ctx.hub.config.limits.max_frame_out)

        def read() -> Pending[Reactions | None]:
            # Who waited for a turn may have left.
            return ctx.hub.history.reactions(ctx.require_room(room, Right.READ), msg.offset)

        found = self._turns.take(ctx.session, read)
        return found.then(lambda reactions: _reply(room, msg, reactions, page))

    def _publish(
        self,
        ctx: Context,
        room: str,
        event: str,
        msg: Edit | Delete | React | Pin,
        fields: dict[str, object],
        guard: Guard,
        *,
        erases: bool = False,
    ) -> Outcome:
        published = ctx.hub.publish(
            *(room, event, fields),
            author=ctx.session,
            cid=msg.cid,
            target=msg.offset,
            erases=erases,
            guard=guard,
        )
        return acknowledge(ctx, published)


def _reply(room: str, msg: WhoReacted, found: Reactions | None, page: Page) -> Reply:
    if found is None:
        raise missing()
    pairs = [(emoji, sender) for emoji, senders in found.items() for sender in senders]
    told: list[dict[str, str]] = []
    more: dict[str, object] = {}
    for place, (emoji, sender) in enumerate(pairs[msg.after :], msg.after):
        if not page.takes(emoji, sender):
            more = {"more": True, "after": place}
            break
        told.append({"emoji": emoji, "sender": sender})
    return Reply("reactions", room=room, offset=msg.offset, reactions=told, **more)


def _clean(emoji: str) -> str:
    clean = unicodedata.normalize("NFC", emoji[: MOST + 1]).strip()
    categories = {unicodedata.category(char) for char in clean}
    turns = {unicodedata.bidirectional(char) for char in clean}
    visible = any(category[0] not in "CZ" for category in categories)
    if not visible or len(clean) > MOST or categories & _REFUSED or turns & _TURNS:
        raise ActionError(
            ErrorCode.BAD_PAYLOAD,
            f"A reaction is an emoji or a word of up to {MOST} characters",
            field="$.emoji",
        )
    return clean
