"""Serve the developers' console: a page that sends any frame, and the list of actions it offers."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec
import msgspec.inspect
from aiohttp import hdrs, web

from chatserver.dispatch import Offer
from chatserver.web.pages import HEADERS, Pages, static_route

if TYPE_CHECKING:
    from chatserver.chat import Chat

PATH: Final = "/console"
"""Where the page is, below the chat's prefix."""

_WITH_FIELDS = (
    msgspec.inspect.StructType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.TypedDictType,
)


def console_routes(chat: "Chat", pages: Pages, prefix: str) -> list[web.RouteDef]:
    """Return the routes of the page, its files and the list of actions.

    The page itself holds nothing of the chat. The list tells which plugins are on, so it is for
    those who may connect, and asked for as they would: with the token as ``Authorization: Bearer``.
    """

    # A quarter of a start would be spent on it.
    @cache
    def listed() -> bytes:
        return msgspec.json.encode({"actions": list_actions(chat.dispatcher.offers)})

    async def page(request: web.Request) -> web.Response:
        return pages.render(request, "console.html", request.path.removesuffix(PATH))

    async def actions(request: web.Request) -> web.Response:
        if (refusal := await chat.endpoint.refusal(request)) is not None:
            return refusal
        headers = {**HEADERS, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(body=listed(), content_type="application/json", headers=headers)

    return [
        web.get(prefix + PATH, page),
        web.get(f"{prefix}{PATH}/actions.json", actions),
        static_route(prefix, "static/console"),
    ]


def list_actions(offers: Mapping[str, Offer]) -> list[dict[str, object]]:
    """Describe actions for clients: name, who offers it, summary, and the payload's JSON Schema."""
    return [
        {
            "action": action,
            "extension": offer.owner.name,
            "summary": offer.summary,
            "schema": _schema(offer.payload),
        }
        for action, offer in offers.items()
    ]


def _schema(payload: type[object] | None) -> dict[str, object]:
    if payload is None:
        return {"type": "object", "properties": {}}
    try:
        return msgspec.json.schema(payload)
    except TypeError:
        return _names_only(payload)


def _names_only(payload: type[object]) -> dict[str, object]:
    # One field of a type or default that JSON Schema cannot tell, such as Raw, spoils them all.
    kind = msgspec.inspect.type_info(payload)
    if not isinstance(kind, _WITH_FIELDS):
        return {"type": "object"}
    return {
        "type": "object",
        "properties": {field.encode_name: {} for field in kind.fields},
        "required": [field.encode_name for field in kind.fields if field.required],
    }
