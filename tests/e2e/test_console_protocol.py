"""What the console's protocol.js says about the wire, evaluated in the browser that will run it."""

from typing import Final

import pytest
from playwright.async_api import expect

from tests.e2e.people import ServerProcess, Visits

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

CASES: Final[list[tuple[str, object]]] = [
    *((f"mayReconnect({code})", True) for code in (1001, 1005, 1006, 1011, 1012)),
    *((f"mayReconnect({code})", True) for code in (3000, 3012, 3499, 4000, 4499)),
    *((f"mayReconnect({code})", False) for code in (1000, 1002, 1007, 3500, 3999, 4500, 4999)),
    ("offers(null)", ["chatserver.v1"]),
    ("offers('a')", ["chatserver.v1", "bearer.YQ"]),
    ("offers('Ж?>~~')", ["chatserver.v1", "bearer.0JY_Pn5-"]),
    ("socketUrl('/ws', 'http://chat.example:8765/?a=1#b')", "ws://chat.example:8765/ws"),
    ("socketUrl('/chat/ws', 'https://chat.example/chat/')", "wss://chat.example/chat/ws"),
    ('parseFrame(\'{"action": "pong"}\')', {"action": "pong"}),
    *((f"parseFrame({data})", None) for data in ("'[]'", "'null'", "'7'", "'{'", "new Blob([])")),
]


async def test_protocol_functions(home: ServerProcess, visit: Visits) -> None:
    someone = await visit(home.url)
    await expect(someone.page.get_by_label("Your name")).to_be_visible()
    calls = ", ".join(f"protocol.{call}" for call, _ in CASES)
    results = await someone.page.evaluate(
        f"import('/static/console/protocol.js').then((protocol) => [{calls}])"
    )
    for (call, wanted), result in zip(CASES, results, strict=True):
        assert result == wanted, call
