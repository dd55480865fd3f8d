"""Let users talk in rooms."""

from typing import Annotated

from msgspec import Meta, Struct

from chatserver import Context, NoConfig, Outcome, Pending, Plugin, Published, action

from .sent import Cid, acknowledge
from .typing import stop

Target = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""The offset of another message."""


class Message(Struct, frozen=True):
    """Say something in a room, the one joined last by default."""

    text: str = ""
    room: str | None = None
    cid: Cid | None = None
    reply_to: Target | None = None


class ChatPlugin(Plugin[NoConfig]):
    """Offer `message`."""

    @action("message")
    async def message(self, ctx: Context, msg: Message) -> Outcome:
        """Publish to the room; a client that gave an id is told when it is done."""
        return say(ctx, ctx.require_room(msg.room), msg.text, msg.cid, msg.reply_to)


def say(
    ctx: Context, room: str, text: str, cid: str | None, reply_to: int | None
) -> Pending[Published] | None:
    """Publish a message in the sender's name; the outcome is `sent`, or nothing without an id."""
    fields: dict[str, object] = {"text": text}
    if reply_to is not None:
        fields["reply_to"] = reply_to
    published = ctx.hub.publish(room, "message", fields, ctx.session, cid)
    stop(ctx.session, room)
    return acknowledge(ctx, published)
