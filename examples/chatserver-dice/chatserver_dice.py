"""Dice for chat rooms: ``{"action": "dice.roll", "sides": 6}``."""

from secrets import randbelow
from typing import Annotated

from msgspec import Meta, Struct

from chatserver import ActionError, Context, Plugin, Reply, action


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Configure the dice.

    Attributes:
        max_sides: The most sides a die may have.
    """

    max_sides: Annotated[int, Meta(ge=2)] = 100


class Roll(Struct, frozen=True):
    """Ask for a die to be rolled in the room joined last."""

    sides: int = 6


class DicePlugin(Plugin[Config]):
    """Roll dice in the room."""

    Config = Config

    @action("dice.roll")
    async def roll(self, ctx: Context, msg: Roll) -> Reply | None:
        """Roll one die; everybody in the room sees ``dice.rolled``, so there is no reply."""
        room = ctx.require_room()
        if not 2 <= msg.sides <= self.config.max_sides:
            raise ActionError(
                "bad_dice", f"sides must be 2 to {self.config.max_sides}", field="$.sides"
            )
        await ctx.publish(room, "dice.rolled", sides=msg.sides, value=1 + randbelow(msg.sides))
        return None
