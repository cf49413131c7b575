"""The host of a URL, whether it is on a private network, and which of several URLs a page has."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urldefrag, urljoin, urlsplit

from w3lib.url import url_query_cleaner

SESSION = re.compile(
    r"php_?sess_?id|j_?session_?id|asp\.?net_?session_?id|(?:os|xtc|my)?c?sid|zen_?id|session(?:_?id)?|cfid|cftoken"
    r"|utm_[a-z]+|[a-z]{1,2}clid|msclkid|mc_[ce]id|_ga|igshid",
    re.IGNORECASE,
)
"""Query parameters that tell visitors apart, not pages: of sessions (PHP, Java, ASP.NET, osCommerce,
xt:Commerce, Zen Cart, ColdFusion) and of advertisements."""
PATH_SESSION = re.compile(r";jsessionid=[^/?#]*", re.IGNORECASE)


def host_of(url: str) -> str:
    """Host and port of a URL, without user and default port; empty where it has none."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    return host if port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f"{host}:{port}"


def is_private(address: str) -> bool:
    """Whether an IP address is not a public one: loopback, link-local, private or reserved."""
    return not ipaddress.ip_address(address).is_global


def resolves_privately(host: str) -> bool:
    """Whether a host name (or IP address) resolves to a private address now; else False."""
    try:
        return is_private(socket.gethostbyname(host))
    except (OSError, UnicodeError):
        return False


def without_session(url: str) -> str:
    """A URL without its fragment and without the parameters that tell visitors apart."""
    url = PATH_SESSION.sub("", urldefrag(url)[0])
    names = [part.partition("=")[0] for part in urlsplit(url).query.split("&")]
    dropped = [name for name in names if SESSION.fullmatch(name)]
    return str(url_query_cleaner(url, dropped, remove=True, unique=False)) if dropped else url


def canonical(href: str, url: str) -> str:
    """The URL that a page at `url` gives as its own (`rel=canonical`); `url` without one of its host."""
    try:
        target = urldefrag(urljoin(url, href.strip()))[0]
    except ValueError:
        return url
    return target if href.strip() and host_of(target) == host_of(url) else url
