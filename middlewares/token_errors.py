"""Name what can go wrong with a token."""

from chatserver import ChatError


class TokenError(ChatError):
    """Report a token that proves nothing.

    Args:
        why: For the log; names no part of the token.
    """


class NoKeysError(ChatError):
    """Report that the keys to judge a token by cannot be had now; the token may be good.

    Args:
        retry_after: Seconds until the keys are asked for again.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"no keys to verify tokens with; next try in {retry_after:.0f} s")
        self.retry_after = retry_after
