import pytest
from msgspec import Raw, Struct, ValidationError

from chatserver.client import Erased, Event, Message, Notification
from chatserver.client.wire import read_error, read_event, read_events, read_frame, read_return


def read(raw: str) -> Message | Notification | Event:
    return read_event(read_frame(raw), raw)


def test_messages_and_notifications_are_typed() -> None:
    assert read(
        '{"action":"message","room":"lobby","text":"Hi","timestamp":"now","sender":"guest:1",'
        '"username":"alice","cid":"c-1","reply_to":3,"offset":7,"later":"ignored"}'
    ) == Message(
        room="lobby",
        text="Hi",
        timestamp="now",
        sender="guest:1",
        username="alice",
        cid="c-1",
        reply_to=3,
        offset=7,
    )
    assert read(
        '{"action":"notification","room":"lobby","event":"rename","text":"a is now b",'
        '"old":"a","timestamp":"now","sender":"guest:1","username":"b"}'
    ) == Notification(
        room="lobby",
        event="rename",
        text="a is now b",
        timestamp="now",
        sender="guest:1",
        username="b",
        old="a",
    )


class Rolled(Struct):
    value: int


def test_others_keep_their_fields_and_can_be_typed() -> None:
    event = read('{"action":"dice.rolled","room":"lobby","value":4,"offset":8}')
    assert isinstance(event, Event)
    assert (event.action, event.room, event.offset) == ("dice.rolled", "lobby", 8)
    assert event.fields["value"] == 4
    assert event.to(Rolled) == Rolled(4)
    with pytest.raises(ValidationError):
        Event(action="dice.rolled", room=None, fields={"value": "four"}).to(Rolled)


def test_a_plugin_s_own_message_costs_nothing() -> None:
    event = read('{"action":"message","room":"lobby","text":["no","text"],"offset":9}')
    assert isinstance(event, Event)
    assert (event.action, event.offset) == ("message", 9)


def test_a_page_has_erased_events() -> None:
    page = [
        Raw(b'{"offset":1,"deleted":true}'),
        Raw(b'{"action":"message","room":"lobby","text":"Hi","timestamp":"now","offset":2}'),
    ]
    assert read_events("lobby", page) == [
        Erased(room="lobby", offset=1),
        Message(room="lobby", text="Hi", timestamp="now", offset=2),
    ]


def test_errors() -> None:
    error = read_error('{"code":"bad_payload","message":"No","field":"$.text","retry_after":1.5}')
    assert (error.code, error.message, error.field) == ("bad_payload", "No", "$.text")
    assert error.retry_after == 1.5
    assert read_error('{"action":"error"}').code == "internal_error"
    error = read_error('{"code":"rate_limited","retry_after":"soon"}')
    assert (error.code, error.message) == (
        "internal_error",
        "The server answered with an error that cannot be read",
    )


def test_when_to_return() -> None:
    assert read_return('{"action":"reconnect","after_ms":250,"reason":"shutdown"}') == 0.25
    assert read_return('{"action":"reconnect","after_ms":"soon"}') == 0
