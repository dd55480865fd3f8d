"""What the console is made of, over plain HTTP: its page, its files, and the list of actions."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

import pytest
from msgspec import Meta, Struct
from yarl import URL

from chatserver import Context, NoConfig, Outcome, Plugin, Reply, action
from chatserver.testing import ChatServer

PATHS = ("/console", "/console/actions.json", "/static/console/main.js")


class Colour:
    """What msgspec has no schema for."""


class Dip(Struct):
    brush: Annotated[int, Meta(ge=1)] = 1


class Mix(Struct):
    colour: Colour
    times: int = 1


class PaintPlugin(Plugin[NoConfig]):
    """Offer an action of each kind."""

    @action("paint.dip")
    async def dip(self, ctx: Context, msg: Dip) -> Outcome:
        """Dip a brush.

        Not in the list.
        """
        return Reply("dipped")

    @action("paint.mix")
    async def mix(self, ctx: Context, msg: Mix) -> Outcome:
        return Reply("mixed")

    @action("paint.dry")
    async def dry(self, ctx: Context) -> Outcome:
        """Wait."""
        return Reply("dry")


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with ChatServer(plugins=[PaintPlugin(NoConfig())]) as running:
        yield running


async def test_the_console_may_use_its_own_files_only(server: ChatServer) -> None:
    async with server.http.get("/") as chat, server.http.get("/console") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        page = await response.text()
        for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
            assert response.headers[name] == chat.headers[name]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", page)
    for file in re.findall(r'(?:src|href)="([^"#]+)"', page):
        async with server.http.get(URL("/console").join(URL(file))) as response:
            assert response.status == 200, file


async def test_all_actions_are_listed_with_their_schemas(server: ChatServer) -> None:
    async with server.http.get("/console/actions.json") as response:
        assert response.content_type == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        listed = {each["action"]: each for each in (await response.json())["actions"]}
    dip = listed["paint.dip"]
    assert (dip["extension"], dip["summary"]) == ("paint", "Dip a brush.")
    brush = dip["schema"]["$defs"]["Dip"]["properties"]["brush"]
    assert brush == {"type": "integer", "minimum": 1, "default": 1}
    assert listed["paint.mix"]["schema"] == {
        "type": "object",
        "properties": {"colour": {}, "times": {}},
        "required": ["colour"],
    }
    assert listed["paint.mix"]["summary"] == ""
    assert listed["paint.dry"]["schema"] == {"type": "object", "properties": {}}
    assert listed["join"]["extension"] == "rooms"
    assert listed["refresh"]["extension"] == "auth"
    assert set(listed) == set(server.chat.dispatcher.offers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer secret", "Origin": "https://evil.example"}, 403),
        ({"Authorization": "Bearer secret", "Host": "evil.example"}, 403),
        ({"Authorization": "Bearer secret"}, 200),
    ],
)
async def test_the_list_is_for_those_who_may_connect(
    headers: Mapping[str, str], status: int
) -> None:
    auth = {"anonymous": False, "tokens": [{"token": "secret", "user": "alice"}]}
    async with ChatServer({"middlewares": ["origin", {"auth": auth}]}) as server:
        async with server.http.get("/console/actions.json", headers=headers) as response:
            assert response.status == status
            assert ("join" in await response.text()) is (status == 200)
        async with server.http.get("/console") as response:
            assert response.status == 200


async def test_it_can_be_turned_off() -> None:
    async with ChatServer({"server": {"console": False}}) as server:
        for path in PATHS:
            async with server.http.get(path) as response:
                assert response.status == 404
        async with server.http.get("/") as response:
            assert response.status == 200
