"""Tell senders where their messages went."""

from typing import Annotated

from msgspec import Meta

from chatserver import Context, Pending, Published

Cid = Annotated[str, Meta(min_length=1, max_length=64)]
"""The client's own id of a message."""


def acknowledge(ctx: Context, published: Pending[Published]) -> Pending[Published] | None:
    """Return what a handler that has published returns; None where there is nothing to say."""
    silent = ctx.envelope.id is None and published.is_done and published.error is None
    return None if silent else published
