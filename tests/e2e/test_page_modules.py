"""What the page's small modules make of texts, evaluated in the browser that will run them."""

from typing import Final

import pytest
from playwright.async_api import expect

from tests.e2e.people import ServerProcess, Visits

pytest_plugins = ["tests.e2e.browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

MODULES: Final = ("address", "direct", "links", "notices")


def event(name: str, did: str) -> str:
    return f"{{sender: '{name}', username: '{name}', event: '{did}', text: '{name} {did}'}}"


CASES: Final[list[tuple[str, object]]] = [
    ("takeToken('')", {"token": None, "fragment": ""}),
    ("takeToken('#top')", {"token": None, "fragment": "#top"}),
    ("takeToken('#token=a%2Bb+c')", {"token": "a+b+c", "fragment": ""}),
    ("takeToken('#x=1&token=a&y')", {"token": "a", "fragment": "#x=1&y"}),
    ("takeToken('#token=100%')", {"token": "100%", "fragment": ""}),
    ("takeToken('#token=')", {"token": None, "fragment": ""}),
    ("directRoom('bob', 'alice')", "dm:alice:bob"),
    ("directRoom('guest:1', 'a%')", "dm:a%25:guest%3A1"),
    # By UTF-16 the second one would come first.
    ("directRoom('\\uff5e', '\\u{1f600}')", "dm:\uff5e:\U0001f600"),
    ("directRoom('ab', 'a')", "dm:a:ab"),
    ("partner('dm:a%25:guest%3A1', 'a%')", "guest:1"),
    ("partner('dm:a%25:guest%3A1', 'guest:1')", "a%"),
    ("split('nothing here')", [{"text": "nothing here", "href": None}]),
    (
        "split('at http://a.example.')",
        [
            {"text": "at ", "href": None},
            {"text": "http://a.example", "href": "http://a.example/"},
            {"text": ".", "href": None},
        ],
    ),
    *(
        (f"split({text!r}).filter(({{href}}) => href).map(({{text}}) => text)", links)
        for text, links in (
            ("(https://a.example/b_(c))", ["https://a.example/b_(c)"]),
            (
                "https://a.example/?q=1#s, HTTPS://B.example!",
                ["https://a.example/?q=1#s", "HTTPS://B.example"],
            ),
            ("javascript:alert(1) data:text/html,x ftp://a.example", []),
            ("https:// http://[ https://?", []),
            ("xhttps://a.example", []),
        )
    ),
    (f"summary([{event('ann', 'join')}])", "ann join"),
    (f"summary([{event('ann', 'join')}, {event('bob', 'join')}])", "ann and bob joined"),
    (
        f"summary([{', '.join(event(name, 'join') for name in 'abcde')}])",
        "a, b, c and 2 more joined",
    ),
    (
        f"summary([{event('ann', 'join')}, {event('bob', 'leave')}, {event('ann', 'leave')}])",
        "bob left; ann came and went",
    ),
    (f"summary([{event('ann', 'leave')}, {event('ann', 'join')}])", "ann left and came back"),
]


async def test_module_functions(home: ServerProcess, visit: Visits) -> None:
    someone = await visit(home.url)
    await expect(someone.page.get_by_label("Your name")).to_be_visible()
    imports = ", ".join(f"import('/static/page/{name}.js')" for name in MODULES)
    names = "takeToken, directRoom, partner, split, summary"
    results = await someone.page.evaluate(
        f"Promise.all([{imports}]).then((all) => {{ const {{ {names} }} = "
        f"Object.assign({{}}, ...all); return [{', '.join(call for call, _ in CASES)}]; }})"
    )
    for (call, wanted), result in zip(CASES, results, strict=True):
        assert result == wanted, call


OVERTAKEN: Final = """
async () => {
    const { Transcript } = await import("/static/page/transcript.js");
    const message = (offset) => ({ action: "message", offset, text: `text ${offset}` });
    const transcript = new Transcript();
    transcript.message(message(9), false);
    transcript.change({ action: "edit", target: 2, offset: 11, text: "part of the page" });
    transcript.change({ action: "edit", target: 3, offset: 12, text: "edited" });
    transcript.change({ action: "delete", target: 4, offset: 13 });
    transcript.page({ messages: [2, 3, 4].map(message), offset: 11 }, () => false);
    return [2, 3, 4].map((offset) => transcript.find(offset)).map((one) => [one.text, one.deleted]);
}
"""
"""Two changes come while a page is on its way that was read before them, but after another one."""


async def test_a_change_may_overtake_the_page_with_its_message(
    home: ServerProcess, visit: Visits
) -> None:
    someone = await visit(home.url)
    await expect(someone.page.get_by_label("Your name")).to_be_visible()
    shown = await someone.page.evaluate(OVERTAKEN)
    assert shown == [["text 2", False], ["edited", False], ["", True]]
