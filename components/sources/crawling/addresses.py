"""The host of a URL, and whether it is on a private network."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


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
