"""Let users show that they are typing."""

from collections.abc import Callable
from time import monotonic
from typing import Annotated, Final

from msgspec import Meta, Struct

from chatserver import Context, Outcome, Plugin, Reply, StateKey, action


class TypingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how often somebody can be shown typing.

    Attributes:
        interval: Seconds between two events of one connection in one room.
    """

    interval: Annotated[float, Meta(gt=0, le=60)] = 2


class Typing(Struct, frozen=True):
    """Say that something is being typed in a room, the one joined last by default."""

    room: str | None = None


_SHOWN: Final = StateKey[dict[str, float]]("typing")


class TypingPlugin(Plugin[TypingConfig]):
    """Offer `typing`: an event that is never kept, and that slow readers may miss.

    Attributes:
        clock: Where the time comes from, in seconds; tests put their own in.
    """

    Config = TypingConfig
    clock: Callable[[], float] = monotonic

    @action("typing")
    async def typing(self, ctx: Context, msg: Typing) -> Outcome:
        """Tell the room, at most once an interval; whoever asked with an id hears `ok` anyway."""
        room = ctx.require_room(msg.room)
        shown = ctx.session.state.get(_SHOWN)
        if shown is None:
            shown = ctx.session.state[_SHOWN] = {}
        now = self.clock()
        if room not in shown or now - shown[room] >= self.config.interval:
            # Rooms that were left are forgotten here: what is kept is what is joined.
            joined = ctx.hub.joined(ctx.session)
            for left in [each for each in shown if each not in joined]:
                del shown[left]
            shown[room] = now
            ctx.publish(room, "typing", ephemeral=True)
        return None if ctx.envelope.id is None else Reply("ok")
