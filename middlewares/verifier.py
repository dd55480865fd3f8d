"""Tell from a token who somebody is, by all that the configuration believes."""

import time
from collections.abc import Callable, Collection

from chatserver import ConfigError, Identity

from . import claims, keys, tokens
from .auth_config import AuthConfig, JwtConfig
from .carriers import check_form
from .jwks import Jwks, JwksSettings
from .token_errors import TokenError


class Verifier:
    """Know the fixed tokens and the keys of one configuration.

    Args:
        config: What is believed.
        clock: Returns Unix time in seconds.
        before: The verifier of the configuration before; published keys it has are kept if their
            settings are the same.

    Raises:
        ConfigError: The configuration makes no sense.
    """

    def __init__(
        self,
        config: AuthConfig,
        clock: Callable[[], float] = time.time,
        before: "Verifier | None" = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._static = tokens.StaticTokens(config.tokens, allow_rename=config.allow_rename)
        self._keys: Collection[keys.Key] = ()
        self._jwks: Jwks | None = None
        if config.jwt is not None:
            _check_source(config.jwt)
            self._take_keys(config.jwt, before._jwks if before else None)

    async def start(self) -> None:
        """Fetch published keys; a failure is logged, and they are fetched later."""
        if self._jwks is not None:
            await self._jwks.refresh()

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._jwks is not None:
            await self._jwks.close()

    async def identify(self, token: str) -> Identity:
        """Return whom a token stands for.

        Raises:
            TokenError: Nobody, or not any more.
            NoKeysError: The keys to judge it by cannot be fetched now.
        """
        identity = self._static.find(check_form(token))
        if identity is not None:
            return identity
        jwt = self._config.jwt
        if jwt is None:
            raise TokenError("not one of the known tokens")
        head = tokens.read_head(token, jwt.algorithms)
        found = self._keys if self._jwks is None else await self._jwks.find(head.kid)
        return claims.identify(
            tokens.verify(token, head, found),
            jwt,
            allow_rename=self._config.allow_rename,
            now=self._clock(),
        )

    def _take_keys(self, jwt: JwtConfig, kept: Jwks | None) -> None:
        if jwt.secret is not None:
            self._keys = (keys.from_secret(jwt.secret, jwt.algorithms),)
        elif jwt.public_key is not None:
            self._keys = (keys.from_pem(jwt.public_key, jwt.algorithms),)
        elif jwt.jwks_url is not None:
            settings = JwksSettings(
                url=jwt.jwks_url,
                algorithms=jwt.algorithms,
                max_age=jwt.jwks_max_age,
                cool_down=jwt.jwks_cool_down,
            )
            self._jwks = kept if kept and kept.settings == settings else Jwks(settings)


def _check_source(jwt: JwtConfig) -> None:
    given = [
        name for name in ("secret", "public_key", "jwks_url") if getattr(jwt, name) is not None
    ]
    if len(given) != 1:
        raise ConfigError(
            "jwt needs exactly one of secret, public_key and jwks_url;"
            f" it has {' and '.join(given) or 'none'}"
        )
    symmetric = {keys.is_symmetric(algorithm) for algorithm in jwt.algorithms}
    if len(symmetric) != 1:
        raise ConfigError(
            "jwt.algorithms mixes HS* with others; a public key would then be taken for a"
            " secret, so keep one kind"
        )
    if symmetric == {True} and given != ["secret"]:
        raise ConfigError(f"jwt.{given[0]} does not go with HS*, which needs jwt.secret")
    if symmetric == {False} and given == ["secret"]:
        raise ConfigError("jwt.secret is for HS* only; give public_key or jwks_url instead")
