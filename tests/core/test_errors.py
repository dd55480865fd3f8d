"""The exception tree, and codes that clients decide by."""

import pytest

from chatserver.errors import (
    ActionError,
    ChatError,
    CloseCode,
    ConfigError,
    Disconnect,
    ErrorCode,
    Refused,
    StoreError,
)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("no such key"),
        StoreError("in use"),
        Refused(403, "No\n", reason="origin"),
        ActionError("dice.bad", "No such dice"),
        Disconnect(4001),
    ],
)
def test_everything_raised_on_purpose_is_a_chat_error(error: ChatError) -> None:
    with pytest.raises(ChatError) as caught:
        raise error
    assert caught.value is error


def test_the_kinds_do_not_catch_each_other() -> None:
    kinds = [ConfigError, StoreError, Refused, ActionError, Disconnect]
    for kind in kinds:
        assert [other for other in kinds if issubclass(kind, other)] == [kind]


def test_error_codes_are_the_protocol_s() -> None:
    assert {code.value for code in ErrorCode} == {
        *("bad_json", "bad_message", "unknown_action", "bad_payload", "too_large"),
        *("rate_limited", "unauthorized", "not_registered", "name_taken", "bad_name"),
        *("not_joined", "forbidden", "not_found", "conflict", "unavailable", "timeout"),
        *("draining", "internal_error"),
    }


def test_close_codes_tell_clients_by_range_whether_to_reconnect() -> None:
    own = {code for code in CloseCode if code >= 3000}
    assert {code for code in own if code < 3500} == {
        CloseCode.SHUTDOWN,
        CloseCode.INTERNAL_ERROR,
        CloseCode.EXPIRED,
        CloseCode.SLOW_CONSUMER,
        CloseCode.INSUFFICIENT_STATE,
        CloseCode.RECONNECT,
        CloseCode.NO_PONG,
        CloseCode.TOO_MANY_REQUESTS,
    }
    assert {code for code in own if code >= 3500} == {
        CloseCode.INVALID_TOKEN,
        CloseCode.BAD_MESSAGES,
        CloseCode.NEVER_AUTHENTICATED,
        CloseCode.KICKED,
        CloseCode.CONNECTION_LIMIT,
        CloseCode.BANNED,
    }


def test_numbers_of_close_codes_are_the_protocol_s() -> None:
    assert [code.value for code in CloseCode if code >= 3000] == [
        *(3001, 3004, 3005, 3008, 3010, 3011, 3012, 3013),
        *(3500, 3501, 3502, 3503, 3504, 3507),
    ]


def test_a_config_error_shows_its_place_first() -> None:
    assert str(ConfigError("unknown key 'prot'", "config.yaml:3:5")) == (
        "config.yaml:3:5: unknown key 'prot'"
    )
    assert str(ConfigError("no plugin is installed")) == "no plugin is installed"


def test_an_action_error_keeps_a_plain_code_and_its_details() -> None:
    error = ActionError(ErrorCode.RATE_LIMITED, "Slow down", field="$.text", retry_after=1.5)
    assert type(error.code) is str
    assert (error.code, error.message) == ("rate_limited", "Slow down")
    assert (error.field, error.retry_after) == ("$.text", 1.5)


def test_a_disconnect_takes_any_close_code() -> None:
    end = Disconnect(CloseCode.KICKED, "bye")
    assert (type(end.code), end.code, end.reason) == (int, 3503, "bye")
    assert Disconnect(4001).reason == ""


def test_a_refusal_keeps_what_the_http_answer_needs() -> None:
    refusal = Refused(429, "Later\n", reason="handshakes", retry_after=3.0)
    assert (refusal.status, refusal.text) == (429, "Later\n")
    assert (refusal.reason, refusal.retry_after) == ("handshakes", 3.0)
