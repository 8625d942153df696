"""The way out: only public addresses, judged as numbers, and no other than the one judged."""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from cluster.egress import EgressGuard, GuardedTransport, is_public, resolve
from cluster.settings import EgressSettings
from cluster.tenant_errors import ForbiddenUrl
from tests.unit.gateway.serving import serving

PUBLIC = "93.184.215.14"

REFUSED = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1"),  # noqa: S104
    "100.100.100.200",
    *("127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255"),
    *("192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::1"),
    *("100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1"),
)
ALLOWED = (PUBLIC, "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808")


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(ForbiddenUrl, match="not public"):
        guard({"a.example": (address,)}).check("https://a.example/")


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_where_the_connection_goes(address: str) -> None:
    assert guard({"a.example": (address,)}).check("https://a.example/x") == address


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_never_more_public_than_itself(inner: IPv4Address) -> None:
    number = int(inner)
    nat64 = IPv6Address((0x0064_FF9B << 96) | number)
    assert is_public(nat64) == is_public(inner)
    for prefix in (0, 0xFFFF << 32, 0xFFFF << 48, 0x2001 << 112):
        assert not is_public(IPv6Address(prefix | number))
    assert not is_public(IPv6Address((0x2002 << 112) | (number << 80)))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(
    address: IPv4Address | IPv6Address,
) -> None:
    special = address.is_private or address.is_loopback or address.is_link_local
    assert not (is_public(address) and (special or address.is_multicast))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "localhost"),
        *("localhost.", "LOCALHOST", "169.254.169.254", "2852039166", "[fe80::1]", "[::]"),
    ],
)
def test_however_it_is_spelt_a_host_inside_is_refused(host: str) -> None:
    # Given the system's own resolver, which takes many spellings
    with pytest.raises(ForbiddenUrl):
        EgressGuard(EgressSettings(), resolve).check(f"https://{host}/")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a.example/", "its scheme must be https"),
        ("ftp://a.example/", "its scheme must be https"),
        ("file:///etc/passwd", "its scheme must be https"),
        ("gopher://a.example:443/", "its scheme must be https"),
        ("a.example", "its scheme must be https"),
        ("https://user@a.example/", "names a user"),
        ("https://user:secret@a.example/", "names a user"),
        ("https:///path", "names no host"),
        ("https://a.example:22/", "its port must be one of 80, 443, 8080, 8443"),
        ("https://a.example:70000/", "its port must be one of 80, 443, 8080, 8443"),
        ("https://a.example:x/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://b.example/", "its host has no address"),
        (f"https://a.example/{'x' * 2_000}", "longer than 2,000"),
    ],
)
def test_a_url_of_another_form_is_refused_and_told_why(url: str, reason: str) -> None:
    with pytest.raises(ForbiddenUrl, match=reason) as refused:
        guard({"a.example": (PUBLIC,)}).check(url)
    assert "secret" not in str(refused.value)


def test_one_address_inside_is_enough_to_refuse_a_name() -> None:
    with pytest.raises(ForbiddenUrl, match="not public"):
        guard({"a.example": (PUBLIC, "10.0.0.1")}).check("https://a.example/")


def test_what_an_operator_lists_may_be_called_and_nothing_beside_it() -> None:
    # Given a name and a network of the company's own
    settings = EgressSettings(private_hosts=("Hooks.corp.example", "10.1.0.0/16"))
    names = {
        "hooks.corp.example": ("172.16.0.9",),
        "a.example": ("10.1.2.3",),
        "b.example": ("10.2.0.1",),
    }
    listed = EgressGuard(settings, lambda host, _: names.get(host, ()))

    assert listed.check("https://HOOKS.corp.example/") == "172.16.0.9"
    assert listed.check("https://a.example/") == "10.1.2.3"
    with pytest.raises(ForbiddenUrl):
        listed.check("https://b.example/")


def test_a_name_that_leads_inside_at_its_next_lookup_is_not_followed() -> None:
    # Given a receiver inside that nobody must reach, and a name that is public when it is judged
    reached: list[str] = []

    async def inside(scope: Scope, _: Receive, send: Send) -> None:
        reached.append(scope["path"])
        await answer(200, send)

    answers: Iterator[Sequence[str]] = iter([(PUBLIC,), ("127.0.0.1",), ("127.0.0.1",)])
    lookups: list[str] = []

    def rebinding(host: str, _: int) -> Sequence[str]:
        lookups.append(host)
        return next(answers)

    with serving(inside) as url:
        port = httpx.URL(url).port
        settings = EgressSettings(http_allowed=True, ports=())
        rebound = EgressGuard(settings, rebinding)
        # When it is judged and then called
        assert rebound.check(f"http://a.example:{port}/") == PUBLIC
        with pytest.raises(ForbiddenUrl, match="not public"):
            asyncio.run(fetch(rebound, f"http://a.example:{port}/"))

    # Then each connection was made by one look-up of its own, and nothing inside was reached
    assert (reached, lookups) == ([], ["a.example", "a.example"])


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    # Given a name that only our own look-up knows
    seen: list[bytes] = []

    async def receiver(scope: Scope, _: Receive, send: Send) -> None:
        seen.extend(value for name, value in scope["headers"] if name == b"host")
        await answer(307, send, location="http://169.254.169.254/latest/meta-data")

    with serving(receiver) as url:
        port = httpx.URL(url).port
        status = asyncio.run(fetch(listed("hooks.invalid"), f"http://hooks.invalid:{port}/x"))

    # Then it is called under its name, and its redirect is an answer like any other
    assert (status, seen) == (307, [f"hooks.invalid:{port}".encode()])


def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    certificate, key = self_signed("hooks.invalid", tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)

    async def receiver(_: Scope, __: Receive, send: Send) -> None:
        await answer(200, send)

    with serving(receiver, ssl_certfile=certificate, ssl_keyfile=key) as url:
        port = httpx.URL(url).port
        right = fetch(listed("hooks.invalid"), f"https://hooks.invalid:{port}/", trusting)
        assert asyncio.run(right) == 200
        wrong = fetch(listed("other.invalid"), f"https://other.invalid:{port}/", trusting)
        with pytest.raises(httpx.ConnectError, match=r"not valid for 'other\.invalid'"):
            asyncio.run(wrong)


def guard(names: dict[str, Sequence[str]]) -> EgressGuard:
    return EgressGuard(EgressSettings(), lambda host, _: names.get(host, ()))


def listed(name: str) -> EgressGuard:
    """Return a guard that knows one name, of this machine, and lets it pass."""
    settings = EgressSettings(http_allowed=True, private_hosts=(name,), ports=())
    return EgressGuard(settings, lambda host, _: ("127.0.0.1",) if host == name else ())


async def fetch(guard: EgressGuard, url: str, tls: ssl.SSLContext | None = None) -> int:
    transport = GuardedTransport(guard, tls or ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        return (await http.get(url)).status_code


async def answer(status: int, send: Send, **headers: str) -> None:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b""})


def self_signed(name: str, folder: Path) -> tuple[Path, Path]:
    """Write a certificate for a name and its key, and return where."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    places = folder / "certificate.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    places[0].write_bytes(certificate.public_bytes(pem))
    places[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return places
