"""Whatever comes in is an envelope or an error reply; what goes out is JSON in a fixed shape."""

import json
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.json import Decoder

from chatserver.envelope import (
    DECODE_ERRORS,
    MAX_ID,
    MAX_REFUSED,
    Envelope,
    Key,
    NotJsonError,
    RequestId,
    address_of,
    encode,
    encode_error,
    encode_event,
    parse,
    payload_error,
    plain_text,
    printable,
    unknown_action,
)
from chatserver.errors import ActionError, ErrorCode

CLEAN = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.text(CLEAN, max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
IDS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(CLEAN, max_size=MAX_ID)
HEADS = st.fixed_dictionaries(
    {},
    optional={"action": st.none() | TEXTS, "type": st.none() | TEXTS, "id": IDS},
)
DEEP = 100_000
BAD_SURROGATES = [
    r"\ud800",
    r"\udc00",
    r"\udfff",
    r"\ud800\u0041",
    r"\ud800A",
    r"\ud800\ud800",
    r"\udc00\ud800",
    r"\ud83d \ude00",
    r"\uD83D\n\uDE00",
]
PLACES: list[Callable[[str], str]] = [
    lambda text: f'{{"action": "{text}"}}',
    lambda text: f'{{"type": "{text}"}}',
    lambda text: f'{{"action": "x", "id": "{text}"}}',
    lambda text: f'{{"action": "x", "text": "{text}"}}',
    lambda text: f'{{"action": "x", "text": "before {text} after"}}',
    lambda text: f'{{"action": "x", "{text}": 1}}',
    lambda text: f'{{"action": "x", "deep": [1, {{"a": ["{text}"]}}]}}',
    lambda text: f'{{"action": "x", "deep": [1, {{"{text}": 1}}]}}',
]


def code_of(raw: str) -> str | None:
    """Return the code a text is refused with; None for an envelope."""
    try:
        parse(raw)
    except ActionError as error:
        return error.code
    return None


def refusal(raw: str) -> ActionError:
    with pytest.raises(ActionError) as caught:
        parse(raw)
    return caught.value


@given(st.dictionaries(TEXTS, VALUES, max_size=5), HEADS, st.booleans())
def test_any_json_object_keeps_its_head(
    payload: dict[str, object], head: dict[str, object], ascii_only: bool
) -> None:
    assume(not {"action", "type", "id"} & set(payload))
    raw = json.dumps({**payload, **head}, ensure_ascii=ascii_only)
    envelope = parse(raw)
    named_by_type = head.get("action") is None and head.get("type") is not None
    assert envelope.key == ("type" if named_by_type else "action")
    assert envelope.action == head.get(envelope.key)
    assert envelope.id == head.get("id")
    assert type(envelope.id) is type(head.get("id"))
    assert json.loads(envelope.raw) == {**payload, **head}
    assert envelope.size == len(raw.encode())
    assert not envelope.plain


@given(
    st.text()
    | st.binary().map(lambda data: data.decode("utf-8", "replace"))
    | st.text('{}[]":,\\u0d8cn1e-+. "', max_size=60)
    | st.text('{}[]":,\\u0d8cn1', max_size=30).map(lambda text: f'{{"action": "x", {text}}}')
)
def test_any_text_is_an_envelope_or_an_action_error(raw: str) -> None:
    code = code_of(raw)
    assert code in (None, "bad_json", "bad_payload")
    if code is None:
        assert isinstance(json.loads(raw), dict)


@pytest.mark.parametrize(
    "raw",
    [
        *("", " ", "hello", "\0", "\ufeff{}", "{", '{"action"', '{"action": "x"', "{}{}", "{} x"),
        *('{"a": 1,}', "{'a': 1}", '{"a": 1 /* why */}', '{"a": "line\nbreak"}', '{"a": "\0"}'),
        *('{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": nan}', '{"id": NaN}'),
        *('{"a": 01}', '{"a": +1}', '{"a": 1.}', '{"a": .5}', '{"a": 0x1}', '{"a": tru}'),
        *(r'{"a": "\x41"}', r'{"a": "\u12"}', r'{"a": "\u12g4"}', r'{"\q": 1}', "{1: 2}"),
        *("[]", "1", "null", "true", '"text"', '[{"action": "x"}]', '"got `object`"', '"`$."'),
    ],
)
def test_what_is_no_json_object_is_bad_json(raw: str) -> None:
    error = refusal(raw)
    assert isinstance(error, NotJsonError)
    assert error.code == "bad_json"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", BAD_SURROGATES)
def test_half_a_surrogate_pair_is_bad_json_wherever_it_stands(
    place: Callable[[str], str], text: str
) -> None:
    assert refusal(place(text)).code == "bad_json"


@pytest.mark.parametrize("place", PLACES)
def test_a_whole_surrogate_pair_is_a_character(place: Callable[[str], str]) -> None:
    raw = place(r"\ud83d\ude00")
    envelope = parse(raw)
    assert envelope.action in ("x", "😀")
    assert envelope.id in (None, "😀")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", [r"\u0000", r"a\u0000b", r"\\\u0000", r"\\u0000\u0000"])
def test_an_escaped_nul_is_refused_wherever_it_stands(
    place: Callable[[str], str], text: str
) -> None:
    error = refusal(place(text))
    assert (error.code, error.message) == ("bad_payload", "NUL characters are not allowed")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", [r"\\u0000", r"\\\\u0000", r"a\n\\u0000", "u0000", "\\u00000"[1:]])
def test_text_that_only_looks_like_an_escaped_nul_is_text(
    place: Callable[[str], str], text: str
) -> None:
    assert parse(place(text)).raw == place(text)


def test_looking_for_nul_costs_one_pass() -> None:
    backslashes = "\\\\" * 500_000
    for text in (f"{backslashes}u0000", f"{backslashes} u0000"):
        raw = f'{{"action": "x", "text": "{text}", "more": "{text}"}}'
        assert parse(raw).raw == raw
    assert refusal(f'{{"text": "{backslashes}\\u0000"}}').code == "bad_payload"


@given(st.text(CLEAN | st.sampled_from('\\"u0')), st.sampled_from([True, False]))
def test_nul_is_found_among_any_text(text: str, ascii_only: bool) -> None:
    clean = json.dumps({"action": "x", "text": text}, ensure_ascii=ascii_only)
    assert parse(clean).action == "x"
    spoiled = json.dumps({"action": "x", "text": f"{text}\0"}, ensure_ascii=ascii_only)
    assert refusal(spoiled).code == "bad_payload"


@pytest.mark.parametrize("nul", ["", r"\u0000", r"\\u0000"])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [400, 600, 800, 950, 990, 1000, DEEP])
def test_nesting_is_an_envelope_or_an_action_error(
    depth: int, before: str, after: str, nul: str
) -> None:
    raw = f'{{"action": "x", "deep": {before * depth}"{nul}"{after * depth}}}'
    assert code_of(raw) in ("bad_json", "bad_payload" if nul == r"\u0000" else None)


def test_nesting_without_end_is_bad_json() -> None:
    for raw in ("[" * DEEP, '{"a":' * DEEP, '{"a": ' + "[" * DEEP):
        assert refusal(raw).code == "bad_json"


@pytest.mark.parametrize("rest", ["", r', "text": "\\u0000"'])
@pytest.mark.parametrize("digits", [19, 30, 400, 5000, 60_000])
def test_a_huge_number_in_the_payload_is_the_handler_s_business(digits: int, rest: str) -> None:
    raw = f'{{"action": "x", "n": {"9" * digits}{rest}}}'
    assert parse(raw) == Envelope("action", "x", None, raw, len(raw))


@pytest.mark.parametrize(
    "id_", [0, -1, 2**63 - 1, -(2**63), "", "a", "a" * 64, "😀" * 64, "\u0001", "null"]
)
def test_ids_at_the_bounds_are_kept(id_: RequestId) -> None:
    for ascii_only in (True, False):
        envelope = parse(json.dumps({"action": "x", "id": id_}, ensure_ascii=ascii_only))
        assert envelope.id == id_


@pytest.mark.parametrize(
    "id_",
    [
        *(str(2**63), str(-(2**63) - 1), "9" * 30, "9" * 5000, "-" + "9" * 5000),
        *("1.5", "1.0", "1e3", "1e400", "true", "[]", "{}", '["a"]', '{"$.id": 1}'),
        *('"' + "a" * 65 + '"', '"' + "😀" * 65 + '"', '"' + r"\ud83d\ude00" * 65 + '"'),
    ],
)
def test_ids_beyond_the_bounds_are_bad_payload(id_: str) -> None:
    error = refusal(f'{{"action": "x", "id": {id_}}}')
    assert not isinstance(error, NotJsonError)
    assert (error.code, error.field) == ("bad_payload", "$.id")


@pytest.mark.parametrize("key", ["action", "type"])
@pytest.mark.parametrize("value", ["1", "1.5", "true", "[]", "{}", '["x"]', "9" * 30, "1e400"])
def test_an_action_that_is_no_text_is_bad_payload(key: str, value: str) -> None:
    error = refusal(f'{{"{key}": {value}}}')
    assert not isinstance(error, NotJsonError)
    assert (error.code, error.field) == ("bad_payload", f"$.{key}")


@pytest.mark.parametrize(
    ("raw", "key", "action"),
    [
        ('{"action": "a"}', "action", "a"),
        ('{"type": "t"}', "type", "t"),
        ('{"type": "t", "action": "a"}', "action", "a"),
        ('{"action": null, "type": "t"}', "type", "t"),
        ('{"action": "", "type": "t"}', "action", ""),
        ('{"action": "first", "action": "last"}', "action", "last"),
        ("{}", "action", None),
        ('{"action": null}', "action", None),
        ('{"Action": "a"}', "action", None),
        (' \t\r\n{"action":"a"}\n ', "action", "a"),
    ],
)
def test_action_wins_over_type(raw: str, key: str, action: str | None) -> None:
    envelope = parse(raw)
    assert (envelope.key, envelope.action) == (key, action)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"action": "a", "id": 7}', ("action", "a", 7)),
        ('{"type": "t", "id": "r1"}', ("type", "t", "r1")),
        (r'{"action": "a", "id": 7, "text": "\u0000"}', ("action", "a", 7)),
        ("{}", ("action", None, None)),
        ('{"action": 1, "id": 7}', None),
        ('{"action": "a", "id": 1.5}', None),
        ("hello", None),
        ("[" * DEEP, None),
        ('{"id": 7, "text": "' + "x" * MAX_REFUSED + '"}', None),
    ],
)
def test_what_is_refused_unread_is_still_answered_by_its_id(
    raw: str, expected: tuple[str, str | None, RequestId | None] | None
) -> None:
    found = address_of(raw)
    assert (None if found is None else (found.key, found.action, found.id)) == expected


def test_size_is_counted_in_bytes() -> None:
    assert parse('{"text": "abc"}').size == 15
    assert parse('{"text": "äö😀"}').size == 12 + 8
    assert plain_text("äö😀", "echo").size == 8


@given(st.text())
def test_plain_text_becomes_an_action_with_that_text(text: str) -> None:
    envelope = plain_text(text, "echo")
    assert (envelope.key, envelope.action, envelope.id) == ("action", "echo", None)
    assert envelope.plain
    assert json.loads(envelope.raw) == {"action": "echo", "text": text}


class Message(Struct):
    text: str
    room: str | None = None
    tags: list[int] = []


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ('{"text": 1}', "$.text"),
        ('{"text": "a", "tags": [1, "b"]}', "$.tags[1]"),
        ("{}", "$.text"),
        ('{"text": "a", "tags": ' + "[" * DEEP, "$.tags[0]"),
    ],
)
def test_a_decoder_s_complaint_names_the_field(payload: str, field: str | None) -> None:
    with pytest.raises(DECODE_ERRORS) as caught:
        Decoder(Message).decode(payload)
    error = payload_error(caught.value)
    assert (error.code, error.field) == ("bad_payload", field)
    assert "`$" not in error.message


@pytest.mark.parametrize("payload", [b"\xff", b'{"text": "\xff"}', b"[" * DEEP, b'{"text": "\xc3'])
def test_all_that_a_decoder_raises_is_known(payload: bytes) -> None:
    with pytest.raises(DECODE_ERRORS):
        Decoder(Message).decode(payload)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ('{"action": "fly"}', "Unknown action: fly"),
        ('{"type": "fly"}', "Unknown type: fly"),
        ("{}", "Unknown action: None"),
        ('{"action": ""}', "Unknown action: "),
        (r'{"action": "a\nb\u001b[31m\u202e"}', "Unknown action: a�b�[31m�"),
        (json.dumps({"action": "x" * 64}), "Unknown action: " + "x" * 64),
        (json.dumps({"action": "x" * 65}), "Unknown action: " + "x" * 64 + "…"),
        (json.dumps({"action": "x" * DEEP}), "Unknown action: " + "x" * 64 + "…"),
    ],
)
def test_an_unknown_action_is_named_in_the_client_s_word(raw: str, message: str) -> None:
    error = unknown_action(parse(raw))
    assert (error.code, error.message) == ("unknown_action", message)


@given(st.text(st.characters()), st.integers(0, 20))
def test_printable_text_is_one_bounded_line(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit + 1


@pytest.mark.parametrize("key", ["action", "type"])
def test_a_reply_has_its_name_first_then_its_id_then_the_fields(key: Key) -> None:
    pairs = json.loads(encode(key, "sent", 7, {"room": "lobby", "z": 1}), object_pairs_hook=list)
    assert pairs == [(key, "sent"), ("id", 7), ("room", "lobby"), ("z", 1)]


@pytest.mark.parametrize("id_", [None, 0, "", "a", -(2**63), 2**63 - 1])
def test_a_reply_repeats_the_id_exactly_when_there_was_one(id_: RequestId | None) -> None:
    reply = json.loads(encode("action", "pong", id_, {}))
    assert reply == ({"action": "pong"} if id_ is None else {"action": "pong", "id": id_})


def test_an_event_keeps_the_order_of_its_fields() -> None:
    body = encode_event({"action": "message", "room": "lobby", "text": "ä"})
    pairs = json.loads(body, object_pairs_hook=list)
    assert pairs == [("action", "message"), ("room", "lobby"), ("text", "ä")]


def test_an_error_reply_says_what_it_has_to_say_and_no_more() -> None:
    short = ActionError(ErrorCode.NOT_JOINED, "Join a room first")
    assert json.loads(encode_error("type", None, short)) == {
        "type": "error",
        "code": "not_joined",
        "message": "Join a room first",
    }
    long = ActionError("rate_limited", "Slow down", field="$.text", retry_after=1.23456)
    assert json.loads(encode_error("action", "r1", long)) == {
        "action": "error",
        "id": "r1",
        "code": "rate_limited",
        "message": "Slow down",
        "field": "$.text",
        "retry_after": 1.235,
    }


@given(TEXTS, VALUES)
def test_what_is_encoded_reads_back(name: str, value: object) -> None:
    event = {"action": name, "value": value}
    assert json.loads(encode_event(event)) == event
