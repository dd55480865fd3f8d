"""Play an issuer of JSON Web Tokens, with keys of every kind."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt import PyJWS
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - has to be refused
EC = ec.generate_private_key(ec.SECP256R1())
EC384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()


def claims(**changes: object) -> dict[str, object]:
    """Return claims that are believed; None takes one away."""
    made = {"sub": "alice", "exp": NOW + 60, **changes}
    return {name: value for name, value in made.items() if value is not None}


def sign(
    payload: Mapping[str, object] | bytes,
    key: PrivateKey | str = SECRET,
    algorithm: str = "HS256",
    **header: object,
) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return PyJWS().encode(raw, key, algorithm, dict(header))


def forge(header: Mapping[str, object] | bytes, payload: bytes, secret: bytes = b"") -> str:
    """Build a token by hand, signed by HMAC-SHA256 with anything as its secret."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{base64url(head)}.{base64url(payload)}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{base64url(digest)}"


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def public_pem(key: PrivateKey) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: PrivateKey, kid: str | None = None, **fields: object) -> dict[str, object]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**made, **({} if kid is None else {"kid": kid}), **fields}


def key_set(*keys: Mapping[str, object]) -> bytes:
    return json.dumps({"keys": keys}).encode()
