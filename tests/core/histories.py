"""Make the histories of rooms in which messages are edited, reacted to, pinned and deleted."""

import json

from hypothesis import strategies as st
from msgspec import structs

from chatserver.publications import Publication
from tests.core.stores import STAMP

USERS = ["ann", "bob", "eve"]
EMOJIS = ["👍", "🎉", "+1"]


def message(text: str = "hi", *, user: str = "ann", room: str = "lobby") -> Publication:
    return _made(room, user, "message", text=text)


def answer(target: int, text: str = "hey", *, user: str = "bob") -> Publication:
    return _made("lobby", user, "message", text=text, reply_to=target)


def edit(target: int, text: str = "ho", *, user: str = "ann") -> Publication:
    return _changing(target, _made("lobby", user, "edit", text=text))


def reaction(
    target: int, emoji: str = "👍", *, user: str = "ann", remove: bool = False
) -> Publication:
    return _changing(target, _made("lobby", user, "reaction", emoji=emoji, remove=remove))


def pin(target: int, *, remove: bool = False) -> Publication:
    return _changing(target, _made("lobby", "eve", "pin", remove=remove))


def delete(target: int, *, user: str = "ann") -> Publication:
    made = _changing(target, _made("lobby", user, "delete"))
    return structs.replace(made, erases=True)


def _made(room: str, user: str, kind: str, **fields: object) -> Publication:
    body = {"action": kind, "room": room, **fields, "timestamp": STAMP, "sender": user}
    encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Publication(room, encoded, STAMP, user, kind=kind)


def _changing(target: int, made: Publication) -> Publication:
    return structs.replace(made, target=target)


def publications(top: int = 6) -> st.SearchStrategy[Publication]:
    """Make messages, and changes of whatever stands at the first offsets."""
    targets, users = st.integers(1, top), st.sampled_from(USERS)
    texts, flags = st.text('abc"\\é', max_size=5), st.booleans()
    return st.one_of(
        st.builds(message, texts, user=users),
        st.builds(message, texts, user=users),
        st.builds(answer, targets, texts, user=users),
        st.builds(edit, targets, texts, user=users),
        st.builds(reaction, targets, st.sampled_from(EMOJIS), user=users, remove=flags),
        st.builds(pin, targets, remove=flags),
        st.builds(delete, targets, user=users),
    )
