"""Extensions are found through entry points, and named with their packages when they are wrong."""

import importlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from chatserver.broker.memory import MemoryBroker
from chatserver.config import DEFAULT_PLUGINS
from chatserver.config.load import Settings
from chatserver.errors import ConfigError
from chatserver.extension import NoConfig
from chatserver.plugin import Plugin
from chatserver.registry import (
    configured_middlewares,
    configured_plugins,
    find,
    load_broker,
    load_middlewares,
    load_plugins,
)

OFF: dict[str, object] = dict.fromkeys(DEFAULT_PLUGINS, False)
"""Turns the built-in plugins off."""

DICE = """
    from msgspec import Struct
    from chatserver import ConfigError, Plugin

    class Config(Struct, frozen=True, forbid_unknown_fields=True):
        sides: int = 6

    class Dice(Plugin[Config]):
        Config = Config

        def configure(self, config: Config) -> None:
            if config.sides == 1:
                raise ConfigError("dice need two sides or more")
            if config.sides == 0:
                raise ZeroDivisionError("no sides")
            super().configure(config)

    class Old(Dice):
        api = 0

    class Stranger:
        pass

    not_even_a_class = 1
"""

GUARDS = """
    from chatserver import Middleware, NoConfig

    class Guard(Middleware[NoConfig]):
        pass

    class Gate(Guard):
        pass
"""


class Site:
    """Be a folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        points: Mapping[str, str],
        *,
        version: str = "1.0",
        group: str = "chatserver.plugins",
        **modules: str,
    ) -> None:
        """Install a distribution: its entry points, name by target, and its modules' code."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        lines = [f"[{group}]", *(f"{point} = {target}" for point, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        for module, code in modules.items():
            (self.folder / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield Site(tmp_path)
    for module in set(sys.modules) - before:
        path = getattr(sys.modules[module], "__file__", None)
        if path is not None and Path(path).parent == tmp_path:
            del sys.modules[module]


def plugins(**listed: object) -> Settings:
    return Settings.from_data({"plugins": {**OFF, **listed}})


def middlewares(*listed: object) -> Settings:
    return Settings.from_data({"middlewares": list(listed)})


def refusal(settings: Settings) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_plugins(settings)
    return caught.value


# Finding


def test_entry_points_are_found_with_their_distributions(site: Site) -> None:
    site.install("chat-dice", {"dice": "found_dice:Dice", "old": "found_dice:Old"}, version="2.1")
    site.install("chat-guard", {"guard": "guards:Guard"}, group="chatserver.middlewares")
    found = find("chatserver.plugins")
    assert [each.distribution for each in found["dice"]] == ["chat-dice 2.1"]
    assert [each.name for each in found["old"]] == ["old"]
    assert "guard" not in found
    assert "guard" in find("chatserver.middlewares")
    assert "found_dice" not in sys.modules


def test_the_built_in_extensions_come_through_entry_points() -> None:
    assert {"rooms", "chat", "ping", "echo"} <= set(find("chatserver.plugins"))
    assert {"origin", "rate_limit", "auth", "size_limit"} <= set(find("chatserver.middlewares"))
    assert "memory" in find("chatserver.brokers")


# Plugins


def test_a_plugin_is_built_with_its_name_and_configuration(site: Site) -> None:
    site.install("chat-dice", {"dice": "dice_a:Dice"}, dice_a=DICE)
    (dice,) = load_plugins(plugins(dice={"sides": 20}))
    assert (dice.name, type(dice).__name__, dice.config.sides) == ("dice", "Dice", 20)


@pytest.mark.parametrize("listed", [None, {}, True])
def test_a_plugin_needs_no_configuration(site: Site, listed: object) -> None:
    site.install("chat-dice", {"dice": "dice_b:Dice"}, dice_b=DICE)
    (dice,) = load_plugins(plugins(dice=listed))
    assert dice.config.sides == 6


def test_nothing_is_imported_unless_it_is_configured(site: Site) -> None:
    bomb = "raise SystemExit('imported')"
    site.install("chat-bomb", {"bomb": "bomb:Bomb"}, bomb=bomb)
    site.install("guard-bomb", {"bomb": "bomb:Bomb"}, group="chatserver.middlewares")
    site.install("broker-bomb", {"bomb": "bomb:Bomb"}, group="chatserver.brokers")
    site.install("chat-dice", {"dice": "dice_c:Dice"}, dice_c=DICE)
    assert [plugin.name for plugin in load_plugins(plugins(dice={}))] == ["dice"]
    assert load_plugins(plugins(bomb=False)) == []
    assert load_middlewares(middlewares()) == []
    assert isinstance(load_broker(Settings.from_data({"broker": "memory"})), MemoryBroker)
    assert "bomb" not in sys.modules


def test_default_plugins_are_on_unless_turned_off() -> None:
    listed = {"chat": False, "ping": {}, "dice": None, "quiz": False}
    settings = Settings.from_data({"plugins": listed})
    names = [name for _, name in configured_plugins(settings)]
    on = [name for name in DEFAULT_PLUGINS if name != "chat"]
    assert names == [*on, "dice"]
    assert {"rooms", "ping"} <= set(on)


def test_two_distributions_with_one_name_are_both_named(site: Site) -> None:
    site.install("chat-dice", {"dice": "dice_d:Dice"}, dice_d=DICE)
    site.install("other-dice", {"dice": "dice_d:Dice"}, version="0.3")
    error = refusal(plugins(dice={}))
    assert "'dice' is offered by both" in error.message
    assert "chat-dice 1.0" in error.message
    assert "other-dice 0.3" in error.message


def test_one_distribution_seen_twice_is_one(site: Site) -> None:
    site.install("chat-dice", {"dice": "dice_e:Dice"}, dice_e=DICE)
    sys.path.append(str(site.folder) + "/.")
    assert [each.distribution for each in find("chatserver.plugins")["dice"]] == ["chat-dice 1.0"]
    assert len(load_plugins(plugins(dice={}))) == 1


@pytest.mark.parametrize(
    ("target", "culprit"),
    [
        ("broken_syntax:Dice", "SyntaxError"),
        ("broken_import:Dice", "no_such_package"),
        ("broken_anyhow:Dice", "ValueError('broken')"),
        ("dice_f:Missing", "Missing"),
        ("no_such_module:Dice", "no_such_module"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(site: Site, target: str, culprit: str) -> None:
    site.install(
        "chat-dice",
        {"dice": target},
        broken_syntax="def",
        broken_import="import no_such_package",
        broken_anyhow="raise ValueError('broken')",
        dice_f=DICE,
    )
    error = refusal(plugins(dice={}))
    assert "the plugin 'dice' of chat-dice 1.0 cannot be imported" in error.message
    assert culprit in error.message


@pytest.mark.parametrize("name", ["Stranger", "not_even_a_class", "Config"])
def test_what_is_no_plugin_is_refused(site: Site, name: str) -> None:
    site.install("chat-dice", {"dice": f"dice_g:{name}"}, dice_g=DICE)
    assert "'dice' is no subclass of chatserver.Plugin" in refusal(plugins(dice={})).message


def test_a_middleware_is_no_plugin_and_a_plugin_no_middleware(site: Site) -> None:
    site.install("chat-guard", {"guard": "guards_a:Guard"}, guards_a=GUARDS)
    assert "no subclass of chatserver.Plugin" in refusal(plugins(guard={})).message
    site.install("chat-dice", {"dice": "dice_h:Dice"}, group="chatserver.middlewares", dice_h=DICE)
    with pytest.raises(ConfigError, match=r"no subclass of chatserver\.Middleware"):
        load_middlewares(middlewares("dice"))


def test_a_plugin_made_for_another_contract_does_not_start(site: Site) -> None:
    site.install("chat-dice", {"dice": "dice_i:Old"}, dice_i=DICE)
    message = refusal(plugins(dice={})).message
    assert "'dice' of chat-dice 1.0 is made for version 0 of the contract" in message
    assert "this server has 1" in message


def test_an_unknown_name_is_told_with_the_known_ones_and_its_place(
    site: Site, tmp_path: Path
) -> None:
    site.install("chat-dice", {"dice": "dice_j:Dice"}, dice_j=DICE)
    off = "".join(f"  {name}: false\n" for name in OFF)
    file = tmp_path / "config.yaml"
    file.write_text(f"plugins:\n{off}  dcie: {{}}\n", encoding="utf-8")
    error = refusal(Settings.load(file, env={}))
    assert "unknown plugin 'dcie'; installed: " in error.message
    assert " dice" in error.message
    assert error.where == f"{file}:{len(OFF) + 2}:3"


def test_without_any_installed_the_install_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    settings = Settings.from_data({})
    assert find("chatserver.plugins") == {}
    error = refusal(settings)
    assert "no plugin is installed, not even the built-in ones" in error.message
    assert "pip install" in error.message
    with pytest.raises(ConfigError, match="no middleware is installed"):
        load_middlewares(settings)
    with pytest.raises(ConfigError, match="no broker is installed"):
        load_broker(settings)


@pytest.mark.parametrize(
    ("listed", "message", "where"),
    [
        ({"sides": "six"}, "must be an integer", "plugins.dice.sides"),
        ({"side": 6}, "side", "plugins.dice.side"),
        ({"sides": 1}, "dice: dice need two sides or more", "plugins.dice"),
        ({"sides": 0}, "ZeroDivisionError", "plugins.dice"),
    ],
)
def test_a_configuration_that_does_not_fit_is_told_with_its_place(
    site: Site, listed: object, message: str, where: str
) -> None:
    site.install("chat-dice", {"dice": "dice_k:Dice"}, dice_k=DICE)
    error = refusal(plugins(dice=listed))
    assert message in str(error)
    assert error.where == where


# Without packaging


def test_a_plugin_may_be_used_from_a_module_without_packaging(site: Site) -> None:
    site.install("unrelated", {}, dice_l=DICE)
    (lucky,) = load_plugins(plugins(lucky={"use": "dice_l:Dice", "sides": 8}))
    assert (lucky.name, lucky.config.sides) == ("lucky", 8)


def test_use_goes_before_what_is_installed(site: Site) -> None:
    site.install("chat-dice", {"dice": "no_such_module:Dice"}, dice_m=DICE)
    (dice,) = load_plugins(plugins(dice={"use": "dice_m:Dice"}))
    assert dice.config.sides == 6


@pytest.mark.parametrize("use", ["dice_n", "dice_n:Missing", "missing_n:Dice", ":", "", "a b:c"])
def test_a_use_that_cannot_be_imported_is_told_with_its_form(site: Site, use: str) -> None:
    site.install("unrelated", {}, dice_n=DICE)
    error = refusal(plugins(lucky={"use": use}))
    assert f"cannot be imported from {use!r}" in error.message
    assert "'module:Class'" in error.message
    assert error.where == "plugins.lucky.use"


# Order


def ordering(**required: tuple[str, ...]) -> str:
    """Return code of plugins that require each other."""
    lines = ["from chatserver import NoConfig, Plugin"]
    for name, names in required.items():
        lines += [f"class {name}(Plugin[NoConfig]):", f"    requires = {names!r}"]
    return "\n".join(lines)


def test_what_a_plugin_requires_comes_before_it(site: Site) -> None:
    code = ordering(A=("b", "c"), B=("c",), C=(), D=())
    points = {name.lower(): f"order_a:{name}" for name in "ABCD"}
    site.install("chat-order", points, order_a=code)
    loaded = load_plugins(plugins(d={}, a={}, b={}, c={}))
    assert [plugin.name for plugin in loaded] == ["d", "c", "b", "a"]


def test_what_is_required_has_to_be_on(site: Site) -> None:
    site.install(
        "chat-order",
        {"a": "order_b:A", "b": "order_b:B"},
        order_b=ordering(A=("b",), B=()),
    )
    for settings in (plugins(a={}), plugins(a={}, b=False)):
        message = refusal(settings).message
        assert "the plugin 'a' requires 'b', which is not on" in message


def test_plugins_that_require_each_other_are_shown_as_a_chain(site: Site) -> None:
    code = ordering(A=("b",), B=("c",), C=("a",), Self=("self",))
    points = {name.lower(): f"order_c:{name}" for name in ("A", "B", "C", "Self")}
    site.install("chat-order", points, order_c=code)
    message = refusal(plugins(a={}, b={}, c={})).message
    assert "plugins require each other: a -> b -> c -> a" in message
    assert "self -> self" in refusal(plugins(self={})).message


# Instances


class Given(Plugin[NoConfig]):
    """Be made by an embedding app."""


class LuckyNumberPlugin(Plugin[NoConfig]):
    """Be named after its class."""


def test_instances_are_added_and_named_after_their_class() -> None:
    given, lucky = Given(NoConfig()), LuckyNumberPlugin(NoConfig())
    loaded = load_plugins(plugins(), [given, lucky])
    assert loaded == [given, lucky]
    assert [plugin.name for plugin in loaded] == ["given", "luckynumber"]


def test_an_instance_may_bear_a_name_of_its_own_and_be_required(site: Site) -> None:
    site.install("chat-order", {"a": "order_d:A"}, order_d=ordering(A=("mine",)))
    given = Given(NoConfig())
    given.name = "mine"
    assert [plugin.name for plugin in load_plugins(plugins(a={}), [given])] == ["mine", "a"]


def test_an_instance_goes_before_an_installed_plugin_of_its_name(site: Site) -> None:
    site.install("chat-given", {"given": "no_such_module:Given"})
    given = Given(NoConfig())
    assert given in load_plugins(plugins(), [given])


@pytest.mark.parametrize("options", [{}, False])
def test_an_instance_is_not_configured_as_well(options: dict[str, object] | bool) -> None:
    with pytest.raises(ConfigError, match="given as an instance and configured"):
        load_plugins(plugins(given=options), [Given(NoConfig())])


def test_two_instances_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two plugins are called 'given'"):
        load_plugins(plugins(), [Given(NoConfig()), Given(NoConfig())])


# Middlewares


def test_middlewares_stand_in_the_order_of_the_list(site: Site) -> None:
    points = {"guard": "guards_b:Guard", "gate": "guards_b:Gate"}
    site.install("chat-guard", points, group="chatserver.middlewares", guards_b=GUARDS)
    for listed in (["gate", "guard"], ["guard", {"gate": None}], [{"gate": {}}, "guard"]):
        loaded = load_middlewares(middlewares(*listed))
        names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in listed]
        assert [middleware.name for middleware in loaded] == names


def test_a_middleware_may_be_used_from_a_module(site: Site) -> None:
    site.install("unrelated", {}, guards_c=GUARDS)
    (mine,) = load_middlewares(middlewares({"mine": {"use": "guards_c:Guard"}}))
    assert (mine.name, type(mine).__name__) == ("mine", "Guard")


@pytest.mark.parametrize(
    ("listed", "message", "where"),
    [
        (["guard", "guard"], "'guard' is listed twice", "middlewares[1]"),
        (["guard", {"guard": {}}], "'guard' is listed twice", "middlewares[1].guard"),
        (["gaurd"], "unknown middleware 'gaurd'", "middlewares[0]"),
        ([{"guard": {"strict": True}}], "strict", "middlewares[0].guard.strict"),
        ([{"guard": None, "gate": None}], "each middleware is one list item", "middlewares[0]"),
        ([{}], "each middleware is one list item", "middlewares[0]"),
    ],
)
def test_a_wrong_list_of_middlewares_is_told_with_its_place(
    site: Site, listed: list[object], message: str, where: str
) -> None:
    points = {"guard": "guards_d:Guard", "gate": "guards_d:Gate"}
    site.install("chat-guard", points, group="chatserver.middlewares", guards_d=GUARDS)
    with pytest.raises(ConfigError, match=message) as caught:
        load_middlewares(middlewares(*listed))
    assert str(caught.value.where).startswith(where)


def test_an_empty_list_means_no_middlewares() -> None:
    assert configured_middlewares(middlewares()) == []
    names = [name for _, name in configured_middlewares(Settings.from_data({}))]
    assert names == ["origin", "rate_limit", "auth", "size_limit"]


# Brokers


def test_a_broker_is_found_by_its_name(site: Site) -> None:
    code = """
        from chatserver.broker.memory import MemoryBroker

        class Mine(MemoryBroker):
            pass
    """
    site.install("my-broker", {"mine": "broker_a:Mine"}, group="chatserver.brokers", broker_a=code)
    broker = load_broker(Settings.from_data({"broker": "mine"}))
    assert type(broker).__name__ == "Mine"


def test_a_broker_that_is_unknown_or_none_is_refused(site: Site) -> None:
    site.install("chat-dice", {"dice": "dice_o:Dice"}, group="chatserver.brokers", dice_o=DICE)
    with pytest.raises(ConfigError, match="'dice' is no chatserver Broker"):
        load_broker(Settings.from_data({"broker": "dice"}))
    with pytest.raises(ConfigError, match="'redis'; installed: dice, embedded, memory"):
        load_broker(Settings.from_data({"broker": "redis"}))
