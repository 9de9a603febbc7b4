"""Web addresses that users name, and which of the hosts behind them may be reached.

Who may edit a Job names the address of its pings. So that he can't reach what only this host can,
an address of a private network, of this host itself or of its link is refused unless
``JOBQUEUE["ALLOWED_NETWORKS"]`` has it; that is asked of the address that is really connected to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from . import conf
from .commandline import printable
from .refusals import Refusal
from .refusals import gettext_noop as _

#: Characters of an address.
LONGEST = 1000
_PORTS = {"http": 80, "https": 443}
_NONE = _("The host or the port of this web address is none.")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?")
_VISIBLE = re.compile(r"[!-~]+")
#: The last 32 bits of such an address are one of IPv4 (RFC 6052).
_NAT64 = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Endpoint:
    """Where a request goes."""

    scheme: str
    #: In ASCII; an IPv6 address has no brackets.
    host: str
    port: int
    #: With a slash before it.
    path: str
    query: str = ""

    @property
    def is_tls(self) -> bool:
        """Whether it is spoken to by https."""
        return self.scheme == "https"

    @property
    def usual_port(self) -> int:
        """The one that needs no word."""
        return _PORTS[self.scheme]

    @property
    def place(self) -> str:
        """The host, with its port if that isn't the usual one: what may be shown."""
        return self.host if self.port == self.usual_port else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """What stands in the first line of a request."""
        return f"{self.path}?{self.query}" if self.query else self.path


def parse(url: str) -> Endpoint:
    """The parts of an address.

    Raises:
        Refusal: it isn't one that begins with http:// or https://, or has a name and password
            in it, or is that of a host that may not be reached. The words name no secret.
    """
    if len(url) > LONGEST or not _VISIBLE.fullmatch(url):
        text = _("A web address has up to %(most)s visible characters, all of ASCII.")
        raise Refusal(text, most=LONGEST)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refusal(_NONE) from None
    if parts.scheme not in _PORTS:
        raise Refusal(_("A web address begins with http:// or https://."))
    if "@" in parts.netloc:
        raise Refusal(_("A name and password in front of the host aren't taken."))
    address = _as_address(host)
    if port == 0 or not (address or _NAME.fullmatch(host)):
        raise Refusal(_NONE)
    if address and not is_allowed(host):
        raise refusal(host)
    number = _PORTS[parts.scheme] if port is None else port
    return Endpoint(parts.scheme, host, number, parts.path or "/", parts.query)


def is_allowed(text: str) -> bool:
    """Whether an IP address may be connected to."""
    address = ip_address(text.partition("%")[0])
    meant = [address, *_inside(address)]
    if getattr(address, "ipv4_mapped", None) or address in _NAT64:
        meant = meant[1:]
    return all(_is_public(one) or _is_listed(one) for one in meant)


def refusal(host: str) -> Refusal:
    """Why a host isn't reached."""
    text = _("%(host)s is in a private network, which JOBQUEUE['ALLOWED_NETWORKS'] doesn't allow.")
    return Refusal(text, host=printable(host))


def _as_address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _inside(address: Address) -> Iterator[Address]:
    """The addresses that one of IPv6 leads to in the end."""
    if isinstance(address, IPv4Address):
        return
    yield from filter(None, [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())])
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def _is_listed(address: Address) -> bool:
    networks = map(ip_network, conf.current().ALLOWED_NETWORKS)
    return any(address in network for network in networks)
