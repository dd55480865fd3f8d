"""What protocol.js says about the wire, evaluated in the browser that will run it."""

from typing import Final

import pytest
from playwright.async_api import expect

from tests.e2e.people import ServerProcess, Visits

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

NOW: Final = 1_700_000_000_000

CASES: Final[list[tuple[str, object]]] = [
    *((f"mayReconnect({code})", True) for code in (1001, 1005, 1006, 1011, 1012)),
    *((f"mayReconnect({code})", True) for code in (3000, 3012, 3499, 4000, 4499)),
    *((f"mayReconnect({code})", False) for code in (1000, 1002, 1007, 3500, 3999, 4500, 4999)),
    *(
        (f"backoff({attempt}, () => 1)", ceiling)
        for attempt, ceiling in ((0, 1000), (1, 2000), (4, 16000), (5, 30000), (5000, 30000))
    ),
    ("backoff(3, () => 0)", 0),
    ("explainClose(3999, 'enough')", "The server closed the connection: enough"),
    ("explainClose(1006)", "The connection was lost."),
    ("base64url('Ж?>~~')", "0JY_Pn5-"),
    ("base64url('a')", "YQ"),
    ("offers(null)", ["chatserver.v1"]),
    ("offers('a')", ["chatserver.v1", "bearer.YQ"]),
    ("takeToken('')", {"token": None, "fragment": ""}),
    ("takeToken('#top')", {"token": None, "fragment": "#top"}),
    ("takeToken('#token=a%2Bb+c')", {"token": "a+b+c", "fragment": ""}),
    ("takeToken('#x=1&token=a&y')", {"token": "a", "fragment": "#x=1&y"}),
    ("takeToken('#token=100%')", {"token": "100%", "fragment": ""}),
    ("takeToken('#token=')", {"token": None, "fragment": ""}),
    ("socketUrl('/ws', 'http://chat.example:8765/?a=1#b')", "ws://chat.example:8765/ws"),
    ("socketUrl('/chat/ws', 'https://chat.example/chat/')", "wss://chat.example/chat/ws"),
    (f"retryAfter(null, {NOW})", None),
    (f"retryAfter('7', {NOW})", 7000),
    (f"retryAfter('Tue, 14 Nov 2023 22:13:30 GMT', {NOW})", 10000),
    (f"retryAfter('Tue, 14 Nov 2023 22:13:00 GMT', {NOW})", 0),
    (f"retryAfter('soon', {NOW})", None),
    (f"judgeRefusal(426, '5', 'Upgrade', {NOW})", {"stop": False, "wait": None, "text": None}),
    (
        f"judgeRefusal(403, '5', '', {NOW})",
        {"stop": True, "wait": None, "text": "The server does not allow this page to connect."},
    ),
    (
        f"judgeRefusal(429, '5', ' wait ', {NOW})",
        {"stop": False, "wait": 5000, "text": "Too many attempts from here. (wait)"},
    ),
    ('parseFrame(\'{"action": "pong"}\')', {"action": "pong"}),
    *((f"parseFrame({data})", None) for data in ("'[]'", "'null'", "'7'", "'{'", "new Blob([])")),
]


async def test_protocol_functions(home: ServerProcess, visit: Visits) -> None:
    someone = await visit(home.url)
    await expect(someone.page.get_by_label("Your name")).to_be_visible()
    calls = ", ".join(f"protocol.{call}" for call, _ in CASES)
    results = await someone.page.evaluate(
        f"import('/static/protocol.js').then((protocol) => [{calls}])"
    )
    for (call, wanted), result in zip(CASES, results, strict=True):
        assert result == wanted, call
