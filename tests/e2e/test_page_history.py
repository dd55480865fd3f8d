"""A long history on the chat page: 5 000 messages, scrolled back to the first one."""

import asyncio
import json
from typing import Final

import pytest
from playwright.async_api import expect

from chatserver.client import connect
from tests.e2e.people import ARTIFACTS, Servers, Visits

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

MESSAGES: Final = 5_000
TOGETHER: Final = 500

SCROLL: Final = """
async () => {
    const log = document.querySelector("chat-log");
    const end = () => log.scrollHeight - log.clientHeight;
    const atStart = () => document.querySelector(".older[hidden]") && -log.scrollTop >= end() - 1;
    const still = await frames((count) => count < 100, 0);
    const back = await frames((count) => count < 150, -400);
    await frames(() => !atStart(), -8000);
    const forth = await frames((count) => count < 150, 400);
    return { still, back, forth };

    async function frames(going, step) {
        const times = [];
        let last = performance.now();
        while (going(times.length)) {
            log.scrollTop += step;
            await new Promise(requestAnimationFrame);
            const now = performance.now();
            times.push(now - last);
            last = now;
        }
        times.sort((a, b) => a - b);
        const at = (part) => Math.round(times[Math.floor(part * (times.length - 1))]);
        return { frames: times.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), most: at(1) };
    }
}
"""
"""Scrolls 400 px a frame back, fast on to the first message, and forth; times of frames in ms."""


LAID_OUT: Final = """
all => all.filter((one) => one.checkVisibility({ contentVisibilityAuto: true })).length
"""


@pytest.mark.timeout(180)
async def test_scrolling_back_through_a_long_history(serve: Servers, visit: Visits) -> None:
    server = await serve(middlewares=["origin", "size_limit"])
    async with connect(server.url + "ws", username="bob") as bob, bob.join("lobby") as room:
        for first in range(0, MESSAGES, TOGETHER):
            numbers = range(first, first + TOGETHER)
            said = (room.publish(f"line {n}: " + "word " * (n % 40)) for n in numbers)
            await asyncio.gather(*said)
    alice = await visit(server.url)
    await alice.enter("alice")
    await expect(alice.page.get_by_text(f"line {MESSAGES - 1}:")).to_be_in_viewport()
    times = await alice.page.evaluate(SCROLL)
    shown = alice.page.locator("li.message .text")
    lines = await shown.evaluate_all("all => all.map((one) => parseInt(one.textContent.slice(5)))")
    assert lines == list(range(MESSAGES))
    assert await shown.evaluate_all(LAID_OUT) < MESSAGES / 10
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "scroll-back.json").write_text(json.dumps(times))
    print(f"ms a frame: {times}")
