"""Let users talk in rooms."""

from typing import Annotated

from msgspec import Meta, Struct

from chatserver import Context, NoConfig, Outcome, Plugin, Published, Reply, action


class Message(Struct, frozen=True):
    """Say something in a room, the one joined last by default."""

    text: str = ""
    room: str | None = None
    cid: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    reply_to: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class ChatPlugin(Plugin[NoConfig]):
    """Offer `message`."""

    @action("message")
    async def message(self, ctx: Context, msg: Message) -> Outcome:
        """Publish to the room; a client that gave an id is told when it is done."""
        room = ctx.require_room(msg.room)
        fields: dict[str, object] = {"text": msg.text}
        if msg.reply_to is not None:
            fields["reply_to"] = msg.reply_to
        published = ctx.hub.publish(room, "message", fields, author=ctx.session, cid=msg.cid)
        if ctx.envelope.id is None:
            # Without an id there is no acknowledgement, but there can still be errors.
            return None if published.is_done else published.then(lambda _: None)
        return published.then(lambda result: _sent(result, msg.cid))


def _sent(result: Published, cid: str | None) -> Reply:
    fields: dict[str, object] = {"room": result.room, "timestamp": result.timestamp}
    if result.position is not None:
        fields |= {"offset": result.position.offset, "epoch": result.position.epoch}
    if cid is not None:
        fields["cid"] = cid
    if result.duplicate:
        fields["duplicate"] = True
    return Reply("sent", **fields)
