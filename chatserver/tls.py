"""Serve TLS with a certificate that can be exchanged while the server runs."""

import ssl
from pathlib import Path
from typing import Self

from chatserver.config.load import Settings
from chatserver.errors import ConfigError


class Tls:
    """Hold the certificate in force, and show it to every new client.

    A certificate that is loaded into a context in use does not replace one with another kind of
    key, it only stands beside it. So each gets a context of its own, and the one that sockets are
    opened with only hands over to the newest.

    Args:
        current: The context with certificate and key, from `load`.

    Attributes:
        context: What sockets are opened with.
    """

    def __init__(self, current: ssl.SSLContext) -> None:
        self._current = current
        self.context = _new_context()
        self.context.sni_callback = self._hand_over

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return what the configuration asks for, or None without TLS; see `load`."""
        current = load(settings)
        return None if current is None else cls(current)

    def replace(self, current: ssl.SSLContext) -> None:
        """Show another certificate from the next handshake on."""
        self._current = current

    def _hand_over(self, client: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        client.context = self._current


def load(settings: Settings) -> ssl.SSLContext | None:
    """Read certificate and key of the configuration; None without TLS.

    Raises:
        ConfigError: One of them cannot be used.
    """
    tls = settings.config.server.tls
    if tls is None:
        return None
    certificate, key = settings.path(tls.certificate), settings.path(tls.key)
    _check_readable(settings, "certificate", certificate)
    _check_readable(settings, "key", key)
    context = _new_context()
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (ssl.SSLError, _EncryptedError) as error:
        if isinstance(error, _EncryptedError):
            why = "the key is encrypted; store it without a password"
        elif error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            why = "the key does not belong to the certificate"
        else:
            why = "both must be PEM files, the certificate with its chain, the key without password"
        raise ConfigError(
            f"TLS cannot use the certificate {certificate} with the key {key}: {why}",
            settings.where(("server", "tls")),
        ) from error
    return context


class _EncryptedError(Exception):
    """Stop OpenSSL from asking the terminal for a password."""


def _refuse_password() -> str:
    raise _EncryptedError


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _check_readable(settings: Settings, what: str, file: Path) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the TLS {what} {file} cannot be read: {error.strerror}",
            settings.where(("server", "tls", what)),
        ) from error
