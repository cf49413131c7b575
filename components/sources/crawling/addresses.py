"""Hosts of addresses, and which of them are private."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """Host and port of an address, without user and default port."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    return host if port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f"{host}:{port}"


def is_private(address: str) -> bool:
    """Whether an IP address is of no public host: loopback, link-local, private, reserved."""
    return not ipaddress.ip_address(address).is_global


def resolves_privately(host: str) -> bool:
    """Whether a host name, or an IP address in its place, is a private one now."""
    try:
        return is_private(socket.gethostbyname(host))
    except (OSError, UnicodeError):
        return False
