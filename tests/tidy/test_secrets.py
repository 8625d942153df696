"""No secret is in the tree: neither what has the form of one, nor what is too random to be a word.

The forms are those that detect-secrets knows, and that of the keys of this project. What is called
a password is found by ruff (S105 to S107).
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString

from tests.tidy.tree import texts

OWN = re.compile(r"\bmsk_[a-z0-9-]{1,64}_[\w-]{43}(?![\w-])")

RANDOM = re.compile(r"(?<![\w+/=-])(?=[\w+/-]*\d)(?=[\w+/-]*[A-Z])[\w+/-]{40,}={0,2}")
ENTROPY_BITS = 4.4
"""A character. Of 1,000 keys of 32 random bytes in base64 998 have more, of names and paths few."""

IDENTITY = "infra/terraform/modules/gcp-identity/tests/gcp-identity.tftest.hcl"

NO_SECRETS = {
    # A path, which happens to have many different letters.
    (IDENTITY, "com/projects/123456789012/locations/global/workloadIdentityPools/example-project"),
    # Passwords in addresses, which are refused for it.
    ("tests/unit/cluster/test_egress.py", "://user:secret@"),
    ("tests/unit/gateway/test_webhooks.py", "://a:b@"),
    ("tests/unit/ingest/test_sources.py", "://user:secret@"),
}
"""What only looks like one. This list only shrinks."""

SKIPPED = ("locks/", "tests/tidy/test_secrets.py")
"""Files of hashes and nothing else, and this one."""


def test_no_secret_is_in_the_tree() -> None:
    assert set(secrets(texts())) == NO_SECRETS


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "https://ada:" + "lovelace@example.org",
        "xoxb-" + "123456789012-abcdefghij",
        "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "msk_acme-client_" + "a" * 43,
        urlsafe_b64encode(sha256(b"any").digest()).decode(),
    ],
    ids=["AWS", "GitHub", "RSA", "password", "Slack", "Stripe", "own", "random"],
)
def test_a_secret_is_found(secret: str) -> None:
    assert list(secrets([("a.md", f"key = {secret}\n")]))


def test_names_paths_and_hashes_are_no_secrets() -> None:
    innocent = (
        sha256(b"any").hexdigest(),
        "tests/unit/gateway/Test_that_a_long_name_of_a_test_is_not_random_at_all_1",
        "https://example.org/some/page",
    )
    assert list(secrets([("a.md", "\n".join(innocent))])) == []


def secrets(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield path and text of whatever may be a secret."""
    for path, text in found:
        if path.startswith(SKIPPED):
            continue
        for form in forms():
            yield from ((path, each.group()) for each in form.finditer(text))
        for each in RANDOM.finditer(text):
            if entropy_bits(each.group()) > ENTROPY_BITS:
                yield path, each.group()


@cache
def forms() -> tuple[re.Pattern[str], ...]:
    """Return the form of every kind of secret; an address of the internet is none."""
    kinds: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    known = (kind() for kind in kinds.values() if issubclass(kind, RegexBasedDetector))
    forms = (
        form for each in known if "Public IP" not in each.secret_type for form in each.denylist
    )
    return (OWN, *forms)


def entropy_bits(text: str) -> float:
    """Return the entropy of a character of a text."""
    return float(Base64HighEntropyString().calculate_shannon_entropy(text))
