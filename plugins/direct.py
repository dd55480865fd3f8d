"""Let users talk in twos."""

from typing import Annotated

from msgspec import Meta, Struct

from chatserver import ActionError, Context, ErrorCode, NoConfig, Outcome, Plugin, action
from chatserver.names import MAX_USER_ID
from chatserver.pairs import direct_room

from .chat import Target, say
from .sent import Cid


class Direct(Struct, frozen=True):
    """Say something to one user, given by id."""

    to: Annotated[str, Meta(min_length=1, max_length=MAX_USER_ID)]
    text: str = ""
    cid: Cid | None = None
    reply_to: Target | None = None


class DirectPlugin(Plugin[NoConfig]):
    """Offer `direct`."""

    @action("direct")
    async def direct(self, ctx: Context, msg: Direct) -> Outcome:
        """Publish to the room of the two, in which all their connections are.

        Whether there is such a user is not asked: the message waits for who has that id.
        """
        user = ctx.session.user
        if ctx.hub.config.chat.require_username and user.name is None:
            raise ActionError(ErrorCode.NOT_REGISTERED, "Register first")
        if msg.to == user.id or not msg.to.isprintable():
            raise ActionError(
                ErrorCode.BAD_PAYLOAD, "Give the user id of somebody else", field="$.to"
            )
        return say(ctx, direct_room(user.id, msg.to), msg.text, msg.cid, msg.reply_to)
