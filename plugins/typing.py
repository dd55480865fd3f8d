"""Let users show that they are typing."""

from collections.abc import Callable
from time import monotonic
from typing import Annotated, Final

from msgspec import Meta, Struct

from chatserver import Context, Outcome, Plugin, Reply, Session, StateKey, action


class TypingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how often somebody can be shown typing.

    Attributes:
        interval: Seconds between two events of one connection in one room, while it says nothing.
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
        now = self.clock()
        before = ctx.session.state.get(_SHOWN) or {}
        shown = {each: at for each, at in before.items() if now - at < self.config.interval}
        if room not in shown:
            shown[room] = now
            ctx.publish(room, "typing", ephemeral=True)
        ctx.session.state[_SHOWN] = shown
        return None if ctx.envelope.id is None else Reply("ok")

    def on_leave(self, session: Session, room: str) -> None:
        """Forget what was typed there: who comes back begins anew."""
        stop(session, room)


def stop(session: Session, room: str) -> None:
    """Take it that nothing is typed in a room any more, as its members do when a message comes.

    What is typed next is news to them, so it is shown at once.
    """
    shown = session.state.get(_SHOWN)
    if shown is not None:
        shown.pop(room, None)
