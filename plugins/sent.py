"""Tell senders where their messages went."""

from typing import Annotated

from msgspec import Meta

from chatserver import Context, Pending, Published, Reply

Cid = Annotated[str, Meta(min_length=1, max_length=64)]
"""The client's own id of a message."""


def acknowledge(ctx: Context, published: Pending[Published]) -> Pending[Reply | None] | None:
    """Return what a handler that has published returns: `sent`, once it is stored.

    Without an id there is no acknowledgement, but there can still be errors.
    """
    if ctx.envelope.id is None:
        return None if published.is_done else published.then(lambda _: None)
    return published.then(_sent)


def _sent(result: Published) -> Reply:
    reply = Reply("sent", room=result.room, timestamp=result.timestamp)
    position = result.position
    if position is not None:
        reply.fields["offset"] = position.offset
        reply.fields["epoch"] = position.epoch
    if result.cid is not None:
        reply.fields["cid"] = result.cid
    if result.duplicate:
        reply.fields["duplicate"] = True
    return reply
