"""What plugins and middlewares have in common."""

import msgspec
import pytest

from chatserver.context import Context, Outcome
from chatserver.errors import ConfigError
from chatserver.extension import API_VERSION, Extension, NoConfig, action
from chatserver.session import Reply

from .sinks import Place


class Sides(msgspec.Struct, frozen=True):
    most: int = 6


class Dice(Extension[Sides]):
    Config = Sides

    @action("dice.roll")
    async def roll(self, ctx: Context) -> Outcome:
        return Reply("rolled", value=self.config.most)

    @action("dice.sides")
    async def tell(self, ctx: Context) -> Outcome:
        return None

    async def plain(self, ctx: Context) -> Outcome:
        return None


def test_marked_methods_are_actions() -> None:
    assert Dice.actions() == {"dice.roll": "roll", "dice.sides": "tell"}


def test_an_extension_without_actions_has_none() -> None:
    assert Extension.actions() == {}


def test_a_subclass_inherits_replaces_and_drops_actions() -> None:
    class Loaded(Dice):
        @action("dice.cheat")
        async def roll(self, ctx: Context) -> Outcome:
            return Reply("rolled", value=6)

        async def tell(self, ctx: Context) -> Outcome:
            return None

        @action("dice.weigh")
        async def weigh(self, ctx: Context) -> Outcome:
            return None

    assert Loaded.actions() == {"dice.cheat": "roll", "dice.weigh": "weigh"}
    assert Dice.actions() == {"dice.roll": "roll", "dice.sides": "tell"}


def test_one_class_cannot_have_two_handlers_for_one_action() -> None:
    class Torn(Dice):
        @action("dice.roll")
        async def again(self, ctx: Context) -> Outcome:
            return None

    with pytest.raises(ConfigError, match=r"Torn handles .* 'dice\.roll' twice: again and roll"):
        Torn.actions()


def test_a_marked_method_is_still_the_method() -> None:
    assert Dice.roll.__name__ == "roll"


def test_the_configuration_is_taken_through_configure() -> None:
    class Watching(Extension[Sides]):
        Config = Sides

        def configure(self, config: Sides) -> None:
            super().configure(config)
            self.double = 2 * config.most

    extension = Watching(Sides(10))
    assert (extension.config, extension.double) == (Sides(10), 20)
    extension.configure(Sides(3))
    assert (extension.config, extension.double) == (Sides(3), 6)


def test_an_extension_is_made_for_this_contract_needs_nothing_and_has_no_name_yet() -> None:
    extension: Extension[NoConfig] = Extension(NoConfig())
    assert (extension.api, extension.requires, extension.name) == (API_VERSION, (), "")
    assert extension.Config is NoConfig


def test_having_nothing_to_configure_makes_every_key_a_typo() -> None:
    assert msgspec.convert({}, NoConfig) == NoConfig()
    with pytest.raises(msgspec.ValidationError, match="sides"):
        msgspec.convert({"sides": 6}, NoConfig)


async def test_starting_and_stopping_may_be_left_out() -> None:
    extension = Dice(Sides())
    await extension.startup(Place().hub)
    await extension.cleanup()
    assert extension.config == Sides()
