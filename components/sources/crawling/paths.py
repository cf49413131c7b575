"""Path patterns of robots.txt and its relatives."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def covers(pattern: str, url: str) -> bool:
    """Whether a path pattern with `*` and a final `$`, as in robots.txt (RFC 9309, 2.2.3), matches a URL."""
    expression = re.sub(r"(?:\\\*)+", ".*", re.escape(pattern.removesuffix("$")))
    path = urlsplit(url)._replace(scheme="", netloc="").geturl() or "/"
    return re.match(expression + ("$" if pattern.endswith("$") else ""), path) is not None
