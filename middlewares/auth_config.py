"""Hold the configuration of `auth` as types."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from chatserver import Right

MAX_TOKEN = 8192
"""Characters a token may have, whatever carries it."""

Algorithm = Literal[
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
"""What a JWT may be signed with (RFC 7518, section 3.1, and RFC 8037); never ``none``."""

Token = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN, pattern=r"^[\x21-\x7e]+$")]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
Period = Annotated[float, Meta(ge=1, le=86400)]


class StaticToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say whom a fixed token stands for.

    Attributes:
        token: The token; printable ASCII without spaces.
        user: The user id; several tokens may share one. Without it, one made from the token's
            digest, so that it stays the same and does not give the token away.
        name: The display name; without it the user registers one.
        rights: Rights by room pattern, such as ``{"*": [join, read, write]}``; without it, join,
            read and write everywhere.
    """

    token: Token
    user: Text | None = None
    name: Text | None = None
    rights: dict[str, frozenset[Right]] | None = None


class JwtConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which JSON Web Tokens are believed; exactly one source of keys is needed.

    A token must carry `exp`, its `nbf` and `iat` are obeyed where it has them.

    Attributes:
        algorithms: Which signatures are accepted, whatever the token says about itself. HS* needs
            `secret`, all others `public_key` or `jwks_url`.
        secret: The shared secret of HS*: as many bytes as its hash, so 32 for HS256 (RFC 7518,
            section 3.2).
        public_key: A public key as PEM text; RSA keys have 2048 bits or more.
        jwks_url: Where the issuer publishes its keys (RFC 7517): https, or http on loopback.
        audience: What `aud` must be or contain. Without it, tokens that name one are refused
            (RFC 7519, section 4.1.3).
        issuer: What `iss` must be; without it, anything.
        leeway: Seconds by which the issuer's clock may differ.
        user_claim: The claim that holds the user id, a string.
        name_claim: The claim that holds the display name; one that breaks the rules for names is
            ignored.
        rights_claim: The claim that holds rights by room pattern, such as
            ``{"team-*": ["join", "read"]}``; without it, join, read and write everywhere.
        jwks_max_age: Seconds after which keys from `jwks_url` are fetched again.
        jwks_cool_down: Seconds between two fetches, however many tokens name unknown keys.
    """

    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)]
    secret: str | None = None
    public_key: str | None = None
    jwks_url: str | None = None
    audience: Text | None = None
    issuer: Text | None = None
    leeway: Annotated[float, Meta(ge=0, le=300)] = 0
    user_claim: Text = "sub"
    name_claim: Text = "name"
    rights_claim: Text = "rooms"
    jwks_max_age: Period = 600
    jwks_cool_down: Period = 30


class AuthConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say who is let in.

    A user whom the embedding app vouches for is let in as such; tokens are not looked at then.

    Attributes:
        anonymous: Let clients without a token in as guests; a guest can become a user by
            ``hello {token}``. A wrong token is refused all the same.
        tokens: Fixed tokens: plain ones, or with the user they stand for.
        jwt: Which JSON Web Tokens are believed, if any.
        query: Accept ``?token=``; it ends up in histories and in the logs of proxies.
        late: Let clients without a token connect and send it in `hello`; everything else is
            `unauthorized` until then.
        late_timeout: Seconds a connection has for that before it is closed with 3502.
        allow_rename: Let users whose token names them register another name.
    """

    anonymous: bool = False
    tokens: tuple[Token | StaticToken, ...] = ()
    jwt: JwtConfig | None = None
    query: bool = False
    late: bool = False
    late_timeout: Annotated[float, Meta(gt=0, le=86400)] = 10
    allow_rename: bool = False
