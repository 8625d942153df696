"""The one way out to URLs that tenants name: nothing but public addresses can be reached.

A name is resolved once, every address it has is judged as a number, and the connection goes to the
address that was judged, so that a name that means something else a moment later (DNS rebinding)
leads nowhere. Redirects are not followed. Whatever spelling a host has (decimal, octal, mapped into
IPv6), the system's resolver has made an address of it before it is judged.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import certifi
import httpx

from cluster.settings import EgressSettings
from cluster.tenant_errors import ForbiddenUrl

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host, none where it has none."""

URL_LENGTH_MAX = 2_000
LOOKUPS_AT_ONCE = 16

_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
_REFUSED: tuple[Network, ...] = (
    *map(
        IPv4Network,
        (  # the IANA registry of special-purpose addresses
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast and reserved
            "168.63.129.16/32",  # Azure's own services, on a public address
        ),
    ),
    *map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet.

    An IPv4 address in one of NAT64 is judged as itself; every other IPv6 address that is not global
    unicast, and every tunnel (6to4, Teredo), is refused.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _UNICAST:
            return False
    return address.is_global and not any(address in network for network in _REFUSED)


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(place[0]) for *_, place in found))


class EgressGuard:
    """Says where a URL leads, if the service may go there."""

    def __init__(self, settings: EgressSettings, resolve: Resolve = resolve) -> None:
        self._settings, self._resolve = settings, resolve
        self._names, self._networks = _split(settings.private_hosts)

    def check(self, url: str) -> str:
        """Return the address to connect to; raises ForbiddenUrl. Waits for the resolver."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise ForbiddenUrl(url[:URL_LENGTH_MAX], "it is not a URL") from None
        self._check_form(url, parsed)
        host = parsed.host.rstrip(".").lower()
        addresses = self._resolve(parsed.raw_host.decode(), _port(parsed))
        if not addresses:
            raise ForbiddenUrl(url, "its host has no address")
        if host not in self._names and not all(map(self._is_allowed, addresses)):
            raise ForbiddenUrl(url, "its host has an address that is not public")
        return addresses[0]

    def _check_form(self, url: str, parsed: httpx.URL) -> None:
        schemes = ("http", "https") if self._settings.http_allowed else ("https",)
        ports = self._settings.ports
        if len(url) > URL_LENGTH_MAX:
            raise ForbiddenUrl(url[:100] + "…", f"it is longer than {URL_LENGTH_MAX:,} characters")
        if parsed.scheme not in schemes:
            raise ForbiddenUrl(url, f"its scheme must be {' or '.join(schemes)}")
        if parsed.userinfo:
            raise ForbiddenUrl(str(parsed.copy_with(userinfo=b"")), "it names a user")
        if not parsed.host:
            raise ForbiddenUrl(url, "it names no host")
        if ports and _port(parsed) not in ports:
            raise ForbiddenUrl(url, f"its port must be one of {', '.join(map(str, ports))}")

    def _is_allowed(self, text: str) -> bool:
        address = ip_address(text)
        return is_public(address) or any(address in network for network in self._networks)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to the address that the guard has judged, under the name that the URL has.

    TLS is still made out to the name, and so is the Host header. A connection serves one request,
    so that none is shared by names that happen to have one address. Raises ForbiddenUrl.
    """

    def __init__(self, guard: EgressGuard, tls: ssl.SSLContext) -> None:
        self._guard = guard
        self._lookups = ThreadPoolExecutor(LOOKUPS_AT_ONCE, "lookup")
        self._inner = httpx.AsyncHTTPTransport(
            verify=tls, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to where its URL leads."""
        url = request.url
        loop = asyncio.get_running_loop()
        address = await loop.run_in_executor(self._lookups, self._guard.check, str(url))
        pinned = httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.raw_host.decode()},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Close every connection; a look-up under way is not waited for."""
        self._lookups.shutdown(wait=False, cancel_futures=True)
        await self._inner.aclose()


def guarded_client(guard: EgressGuard, timeout_s: float) -> httpx.AsyncClient:
    """Return a client that goes where the guard allows and nowhere else.

    It trusts what the system trusts (`SSL_CERT_FILE` adds a company's own) and Mozilla's list. It
    follows no redirect, and no proxy or password of the environment's; each of its waits is bounded
    by `timeout_s`, which its caller should bound in all.
    """
    tls = ssl.create_default_context()
    tls.load_verify_locations(certifi.where())
    return httpx.AsyncClient(
        transport=GuardedTransport(guard, tls),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
    )


def _port(url: httpx.URL) -> int:
    return url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _split(hosts: Iterable[str]) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Return which of the private hosts are names and which are networks."""
    names, networks = set(), []
    for host in hosts:
        try:
            networks.append(ip_network(host))
        except ValueError:
            names.add(host.rstrip(".").lower())
    return frozenset(names), tuple(networks)
