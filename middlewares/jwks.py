"""Fetch and keep the keys an issuer publishes."""

import asyncio
import logging
import time
from asyncio import Task
from collections.abc import Callable, Collection, Sequence
from contextvars import Context
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import Struct

from chatserver import ConfigError

from . import key_set
from .keys import Key
from .token_errors import NoKeysError

TIMEOUT: Final = 5.0
"""Seconds a fetch may take."""

MAX_DOCUMENT: Final = 256 * 1024
"""Bytes a key set may have."""

MAX_STALE: Final = 86_400.0
"""Seconds for which keys are used while no newer ones can be had."""

log = logging.getLogger("chatserver.auth")


class JwksSettings(Struct, frozen=True, kw_only=True):
    """Say where keys come from and how often they are asked for.

    Attributes:
        url: Where the issuer publishes them: https, or http on loopback.
        algorithms: What they have to verify.
        max_age: Seconds after which they are fetched again.
        cool_down: Seconds from one try to the next.
        timeout: Seconds a fetch may take.

    Raises:
        ConfigError: The URL is not one that can be trusted.
    """

    url: str
    algorithms: Sequence[str]
    max_age: float = 600
    cool_down: float = 30
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        if not _trustworthy(self.url):
            raise ConfigError(
                "jwt.jwks_url must be an https URL without a user name, such as"
                " https://issuer.example/.well-known/jwks.json; http is for loopback only"
            )


class Jwks:
    """Keep the keys of one URL, and fetch them again when they age or a token names a new one.

    Whoever needs a fetch waits for the one that is under way. While the URL does not answer, the
    keys fetched last are used for up to `MAX_STALE`.

    Args:
        settings: Where from and how often.
        clock: Returns monotonic time in seconds.
    """

    def __init__(self, settings: JwksSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = float("-inf")
        self._next_try = float("-inf")
        self._failed = False
        self._fetch: Task[None] | None = None

    async def find(self, kid: str | None) -> Collection[Key]:
        """Return the keys, after a fetch if they are old or none has the name `kid`.

        Raises:
            NoKeysError: There are none, or the one wanted may be among those not to be had.
        """
        if not self._knows(kid) or self._age() >= self.settings.max_age:
            await self.refresh()
        if self._age() > MAX_STALE or (self._failed and not self._knows(kid)):
            raise NoKeysError(max(1.0, self._next_try - self._clock()))
        return self._keys

    async def refresh(self) -> None:
        """Fetch the keys, unless the last try is too recent; a failure is logged, not raised."""
        if self._fetch is None:
            if self._clock() < self._next_try:
                return
            self._next_try = self._clock() + self.settings.cool_down
            # In a context of its own: its log lines are not about the session that happens to ask.
            self._fetch = asyncio.create_task(self._update(), name="jwks", context=Context())
        # asyncio.wait, so that neither a cancelled waiter ends the fetch nor its end a waiter.
        await asyncio.wait({self._fetch})

    async def close(self) -> None:
        """End a fetch that is under way; who waits for it gets what there was before."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait({self._fetch})

    def _knows(self, kid: str | None) -> bool:
        return kid is None or any(key.kid in (None, kid) for key in self._keys)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _update(self) -> None:
        self._failed = True
        try:
            self._keys = key_set.parse(await _get(self.settings), self.settings.algorithms)
            self._fetched_at = self._clock()
            self._failed = False
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning(
                "no keys from %s: %s; next try in %g s at the earliest, %d older keys until then",
                self.settings.url.partition("?")[0],
                str(error) or "no answer in time",
                self.settings.cool_down,
                len(self._keys),
            )
        finally:
            self._fetch = None


async def _get(settings: JwksSettings) -> bytes:
    timeout = ClientTimeout(total=settings.timeout)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        ClientSession(timeout=timeout, headers=headers, auto_decompress=False) as http,
        http.get(settings.url, allow_redirects=False) as response,
    ):
        if response.status != HTTPStatus.OK:
            raise ValueError(f"the answer is {response.status}; redirects are not followed")
        document = bytearray()
        async for chunk in response.content.iter_any():
            document += chunk
            if len(document) > MAX_DOCUMENT:
                raise ValueError(f"the answer has more than {MAX_DOCUMENT} bytes")
        return bytes(document)


def _trustworthy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and parts.hostname and "@" not in parts.netloc
        return bool(usable) and (
            parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname or ""))
        )
    except ValueError:
        return False


def _loopback(host: str) -> bool:
    return host == "localhost" or ip_address(host).is_loopback
