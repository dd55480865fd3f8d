"""What programs can say and count is documented, and nothing else is."""

import ast
import inspect
import re
from collections.abc import Callable, Mapping

import msgspec
import pytest
from chatserver_middlewares.auth import AuthMiddleware
from chatserver_middlewares.origin import OriginMiddleware
from chatserver_middlewares.rate_limit import RateLimitMiddleware
from chatserver_middlewares.size_limit import SizeLimitMiddleware

import chatserver
from chatserver import (
    CHAT,
    Chat,
    CloseCode,
    Context,
    ErrorCode,
    Handshake,
    Hub,
    Middleware,
    Plugin,
    Right,
    Session,
    create_app,
    setup,
)
from chatserver.context import RESERVED
from chatserver.middleware import AnyMiddleware
from chatserver.testing import ChatServer, Peer
from tests.docs.pages import ROOT, all_pages, code, first_word, page

PROTOCOL = page("docs/protocol.md")
PLUGINS = page("docs/plugins.md")
MIDDLEWARES = page("docs/middlewares.md")
DEPLOY = page("docs/deploy.md")

BUILT_IN: Mapping[str, type[AnyMiddleware]] = {
    "origin": OriginMiddleware,
    "rate_limit": RateLimitMiddleware,
    "auth": AuthMiddleware,
    "size_limit": SizeLimitMiddleware,
}


def names(*columns: str, section: str | None = None) -> set[str]:
    return {first_word(row[columns[0]]) for row in PROTOCOL.rows(*columns, section=section)}


INNER: Mapping[type[object], set[str]] = {
    Session: {"sink", "closes_with"},
    Chat: {"startup", "cleanup", "reload"},
}
"""Members that only the server uses."""

MADE: Mapping[type[object], set[str]] = {Peer: {"socket"}, ChatServer: {"app", "url"}}
"""Attributes that instances have beside what their class defines."""


def members(owner: type[object]) -> set[str]:
    """The public methods, properties and attributes of a class, for authors."""
    found = {*vars(owner), *getattr(owner, "__annotations__", {}), *MADE.get(owner, ())}
    return {name for name in found - INNER.get(owner, set()) if not name.startswith("_")}


def documented(text: str) -> set[str]:
    """The names in backticks: of ``session.state`` and ``publish(room, …)`` the last one."""
    heads = [re.split(r"[({\[=\s]", each)[0] for each in re.findall(r"`([^`\n]+)`", text)]
    return {head.rpartition(".")[2] for head in heads}


class TestActions:
    def test_all_and_no_others(self) -> None:
        chat = create_app()[CHAT]
        offered = {
            name
            for extension in (*chat.plugins, *chat.middlewares)
            for name in type(extension).actions()
        }
        assert names("request", "reply") == offered

    def test_each_field(self) -> None:
        """The fields of a request are those of the payload the handler takes."""
        chat = create_app()[CHAT]
        taken = {
            name: payload_fields(type(extension), method)
            for extension in (*chat.plugins, *chat.middlewares)
            for name, method in type(extension).actions().items()
        }
        taken["hello"].add("token")  # taken by the auth middleware, on its way to the handler
        for row in PROTOCOL.rows("request", "reply"):
            request = code(row["request"])[0]
            fields = set(re.findall(r"(\w+)\??(?=[,}])", request))
            assert fields == taken[first_word(row["request"])], request

    def test_each_has_a_section(self) -> None:
        headings = set(
            re.findall(r"`(\w+)`", "".join(re.findall(r"^### .*", PROTOCOL.prose, re.M)))
        )
        assert names("request", "reply") == headings


def payload_fields(owner: type[object], method: str) -> set[str]:
    hints = {**getattr(owner, method).__annotations__}
    types = [kind for name, kind in hints.items() if name not in ("ctx", "return")]
    return {field.name for kind in types for field in msgspec.structs.fields(kind)}


class TestCodes:
    def test_error_codes(self) -> None:
        assert names("code", "when", "what to do") == set(ErrorCode)

    def test_close_codes(self) -> None:
        rows = PROTOCOL.rows("code", "name", "when")
        told = {int(row["code"]): code(row["name"])[0] for row in rows}
        assert told == {member.value: member.name for member in CloseCode}

    def test_close_codes_obey_the_ranges(self) -> None:
        for row in PROTOCOL.rows("code", "name", "when"):
            number, again = int(row["code"]), row["connect again"]
            if number >= 3000:
                assert (number < 3500) is again.startswith("yes"), row

    def test_codes_in_the_text_exist(self) -> None:
        """No page mentions a close code of the server that is none."""
        known = {member.value for member in CloseCode}
        for each in all_pages():
            text = re.sub(r"\b[34]\d00[-–][34]\d99\b", "", each.prose)
            found = {int(number) for number in re.findall(r"(?<![\d.:-])3[05]\d\d(?![\d-])", text)}
            assert found <= known, each.name

    def test_rights(self) -> None:
        assert names("right", "for") == set(Right)

    def test_fields_that_only_the_server_sets(self) -> None:
        listed = names("field", "meaning", section="Events") | {"type", "id", "offset", "epoch"}
        assert listed == RESERVED
        assert documented(PLUGINS.section("Publishing")) >= RESERVED


class TestMetrics:
    async def test_all_and_no_others(self, chat: ChatServer) -> None:
        async with chat.http.get("/metrics") as response:
            exposed = re.findall(r"^# TYPE (\S+) (\S+)$", await response.text(), re.MULTILINE)
        rows = DEPLOY.rows("metric", "type")
        assert [(first_word(row["metric"]), row["type"]) for row in rows] == exposed

    async def test_labels(self, chat: ChatServer) -> None:
        peer = await chat.connect()
        await peer.request("dance")
        chat.chat.kick(str((await peer.request("hello"))["user"]))
        async with chat.http.get("/ws", headers={"Authorization": "Bearer wrong"}):
            pass
        async with chat.http.get("/metrics") as response:
            exposed = re.findall(r"^(\w+)\{(\w+)=", await response.text(), re.MULTILINE)
        told = {
            (first_word(row["metric"]), label)
            for row in DEPLOY.rows("metric", "type")
            for label in re.findall(r"\{(\w+)\}", row["metric"])
        }
        parts = re.compile("_(bucket|count|sum)$")
        assert told == {(parts.sub("", name), label) for name, label in exposed if label != "le"}

    def test_reasons_of_refusals(self) -> None:
        sources = [*(ROOT / "chatserver").glob("*.py"), *(ROOT / "middlewares").glob("*.py")]
        used = {
            reason
            for source in sources
            for reason in re.findall(r'\breason="(\w+)"', source.read_text())
        }
        told = {code(row["reason"])[0] for row in DEPLOY.rows("reason", "status")}
        assert told == used


class TestContract:
    """What authors of extensions use stands in the docs."""

    @pytest.mark.parametrize("name", sorted(chatserver.__all__))
    def test_public_names(self, name: str) -> None:
        pages = [each for each in all_pages() if not each.name.startswith(("CHANGES", "examples"))]
        assert any(re.search(rf"\b{name}\b", each.text) for each in pages)

    def test_hooks_of_plugins(self) -> None:
        hooks = {name for name in members(Plugin) if name.startswith("on_")}
        assert {first_word(row["hook"]) for row in PLUGINS.rows("hook", "called")} == hooks

    def test_hooks_of_middlewares(self) -> None:
        rows = MIDDLEWARES.rows("hook", "contract")
        told = {code(row["hook"])[0].removeprefix("async ").partition("(")[0] for row in rows}
        assert told == members(Middleware)

    def test_what_the_built_in_middlewares_do(self) -> None:
        """The table of hooks and actions says what the classes define."""
        for row in MIDDLEWARES.rows("", "`connect`"):
            kind = BUILT_IN[code(row[""])[0]]
            for hook in ("connect", "frame", "message"):
                overridden = getattr(kind, hook) is not getattr(Middleware, hook)
                told = bool(row[f"`{hook}`"])
                # size_limit sets limits in `connect`, and refuses nobody there.
                assert told is overridden or (kind, hook) == (SizeLimitMiddleware, "connect")
            assert set(code(row["actions"])) == set(kind.actions())

    @pytest.mark.parametrize("owner", [Context, Hub, Session, Handshake, Chat, Peer, ChatServer])
    def test_members(self, owner: type[object]) -> None:
        """The table of a class has its public members and no others."""
        each = MIDDLEWARES if owner is Handshake else PLUGINS
        column = f"member of `{owner.__name__}`"
        told = {member for row in each.rows(column) for member in documented(row[column])}
        assert told == members(owner)

    @pytest.mark.parametrize("function", [create_app, setup])
    def test_parameters(self, function: Callable[..., object]) -> None:
        """The docs write the signatures down, with the defaults."""
        name = function.__name__
        (told,) = re.findall(rf"`({name}\([^`]*\))`(?=\s(?:makes|returns))", PLUGINS.prose)
        (written,) = ast.parse(f"def {told}: ...").body
        assert isinstance(written, ast.FunctionDef)
        arguments = written.args
        names = [each.arg for each in (*arguments.args, *arguments.kwonlyargs)]
        assert names == list(inspect.signature(function).parameters)
