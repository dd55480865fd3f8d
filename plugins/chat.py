"""Let users talk in rooms."""

from typing import Annotated

from msgspec import Meta, Struct

from chatserver import Context, NoConfig, Outcome, Pending, Plugin, Published, Reply, action

Cid = Annotated[str, Meta(min_length=1, max_length=64)]
Target = Annotated[int, Meta(ge=1, le=2**63 - 1)]


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
) -> Pending[Reply | None] | None:
    """Publish a message in the sender's name; the outcome is `sent`, or nothing without an id."""
    fields: dict[str, object] = {"text": text}
    if reply_to is not None:
        fields["reply_to"] = reply_to
    published = ctx.hub.publish(room, "message", fields, author=ctx.session, cid=cid)
    if ctx.envelope.id is None:
        # Without an id there is no acknowledgement, but there can still be errors.
        return None if published.is_done else published.then(lambda _: None)
    return published.then(lambda result: _sent(result, cid))


def _sent(result: Published, cid: str | None) -> Reply:
    fields: dict[str, object] = {"room": result.room, "timestamp": result.timestamp}
    if result.position is not None:
        fields |= {"offset": result.position.offset, "epoch": result.position.epoch}
    if cid is not None:
        fields["cid"] = cid
    if result.duplicate:
        fields["duplicate"] = True
    return Reply("sent", **fields)
