"""Sources of listings, a file each. `SOURCES` in components/scrape.py names them."""


def writable(text: str) -> str:
    """The text without what UTF-8 cannot hold: half of a surrogate pair, as broken JSON escapes leave it."""
    return text.encode("utf-8", "replace").decode("utf-8")
