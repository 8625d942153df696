"""Keeps secrets that are usable as they are out of the database, its dumps and its backups.

Each is sealed by AES-256-GCM under a key of its own, and that key under one of the deployment's
(envelope encryption): so a change of the deployment's key writes the former anew and never touches
the latter's text. A seal is bound to the place it was made for, and opens in no other.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cluster.tenant_errors import SecretUnreadable

_MARK = "sealed1"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_PURPOSE = b"muster secrets 1"


@dataclass(frozen=True, slots=True)
class _Key:
    key_id: str
    cipher: AESGCM = field(repr=False)


class Seals:
    """Seals under the first of some keys and opens what was sealed under any; for many threads."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        made = [_key(each) for each in keys]
        self._first = made[0]
        self._by_id = {key.key_id: key for key in made}

    def seal(self, secret: str, place: str) -> str:
        """Return a secret as it may be stored at a place, another text each time."""
        own_key = Envelope.new_key()
        return self._sealed(own_key, _encrypted(AESGCM(own_key), secret.encode(), place), place)

    def open(self, stored: str, place: str) -> str:
        """Return the secret; one that was stored before there were seals is returned as it is.

        Raises SecretUnreadable where its key is not among those given, or where it was changed or
        made for another place.
        """
        if not self.is_sealed(stored):
            return stored
        own_key, text = self._own_key(stored, place)
        return _decrypted(AESGCM(own_key), text, place).decode()

    def is_sealed(self, stored: str) -> bool:
        """Whether a stored text is sealed, under whichever key."""
        return stored.startswith(f"{_MARK}.")

    def is_current(self, stored: str) -> bool:
        """Whether a stored text is sealed under the first key."""
        return stored.startswith(f"{_MARK}.{self._first.key_id}.")

    def renewed(self, stored: str, place: str) -> str:
        """Return a stored secret sealed under the first key; raises SecretUnreadable."""
        if not self.is_sealed(stored):
            return self.seal(stored, place)
        own_key, text = self._own_key(stored, place)
        return self._sealed(own_key, text, place)

    def _sealed(self, own_key: bytes, text: bytes, place: str) -> str:
        wrapped = _encrypted(self._first.cipher, own_key, place)
        return ".".join((_MARK, self._first.key_id, _text_of(wrapped), _text_of(text)))

    def _own_key(self, stored: str, place: str) -> tuple[bytes, bytes]:
        """Return the key of a stored secret, and the secret under that key."""
        _, key_id, wrapped, text = stored.split(".")
        key = self._by_id.get(key_id)
        if key is None:
            raise SecretUnreadable(place, f"key {key_id} is not among the encryption keys")
        return _decrypted(key.cipher, urlsafe_b64decode(wrapped), place), urlsafe_b64decode(text)


class Envelope:
    """Seals many contents under one key, itself to be sealed by `Seals`; for many threads."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @staticmethod
    def new_key() -> bytes:
        """Return a random key."""
        return AESGCM.generate_key(_KEY_BYTES * 8)

    def seal(self, content: bytes, place: str) -> bytes:
        """Return a content as it may be stored at a place, other bytes each time."""
        return _encrypted(self._cipher, content, place)

    def open(self, sealed: bytes, place: str) -> bytes:
        """Return the content; raises SecretUnreadable where it was changed or is of elsewhere."""
        return _decrypted(self._cipher, sealed, place)


def _key(secret: bytes) -> _Key:
    made = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(secret)
    return _Key(sha256(_PURPOSE + made).hexdigest()[:8], AESGCM(made))


def _encrypted(cipher: AESGCM, content: bytes, place: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, place.encode())


def _decrypted(cipher: AESGCM, content: bytes, place: str) -> bytes:
    try:
        return cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], place.encode())
    except InvalidTag as error:
        reason = "it was changed, or was sealed for another place"
        raise SecretUnreadable(place, reason) from error


def _text_of(content: bytes) -> str:
    return urlsafe_b64encode(content).decode()
