"""Peak memory of the crawling process with many addresses in its queue, against that with 10,000.

python -m benchmarks.crawl [addresses]     the larger number; 1,000,000 if not given
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from components.sources.block_list import BlockList
from components.sources.crawling.crawl import crawl
from components.sources.crawling.job import CrawlJob

PART = 10_000  # addresses in a part of the sitemap
ADDRESS = "<url><loc>{base}/products/{part}-{number}</loc></url>"


def document(base: str, path: str, parts: int) -> str:
    """The body of a path: the sitemap's index, a part of it, or a page."""
    part = path.removeprefix("/map").removesuffix(".xml")
    if part == "":
        inner = (f"<sitemap><loc>{base}/map{number}.xml</loc></sitemap>" for number in range(parts))
        return f"<sitemapindex>{''.join(inner)}</sitemapindex>"
    if part.isdigit():
        inner = (ADDRESS.format(base=base, part=part, number=number) for number in range(PART))
        return f"<urlset>{''.join(inner)}</urlset>"
    return f"<html><h1>{path}</h1></html>"


@contextmanager
def serve(parts: int) -> Iterator[str]:
    """A site whose sitemap has so many parts; gives its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = document(f"http://localhost:{port}", self.path, parts)
            self.send_response(404 if self.path == "/robots.txt" else 200)
            self.send_header("Content-Type", "text/xml" if "map" in self.path else "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{port}"
    server.shutdown()
    server.server_close()


def peak(addresses: int) -> float:
    """MiB at the highest of a crawl that stops once all addresses are in its queue."""
    parts = addresses // PART
    highest, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            sizes = [child.memory_info().rss for child in psutil.Process().children(recursive=True)]
            highest.append(max(sizes, default=0))

    with serve(parts) as base, tempfile.TemporaryDirectory() as folder:
        size = sum(len(document(base, f"/map{part}.xml", parts)) for part in ("", *range(parts)))
        pages = {"start": [], "sitemaps": [f"{base}/map.xml"], "pages": [], "hosts": [base[7:]]}
        limits = {"pages_max": addresses, "bytes_max": size + 2000, "page_bytes_max": 2**24}
        pace = {"concurrency": 2, "delay": 0.0, "retries": 0, "wait_max": 30.0, "refusals_max": 20}
        ages = {"terms_age_max": 86_400.0, "page_seconds_max": 60.0}
        blocked = {"blocked": BlockList("shop", frozenset())}
        job = CrawlJob(products="/products/", agent="x", **blocked, **pages, **limits, **pace, **ages)  # type: ignore[arg-type]
        watcher = threading.Thread(target=watch)
        watcher.start()
        crawled = crawl(job, Path(folder) / "pages.sqlite")
        done.set()
        watcher.join()
        if crawled.stopped != "bytes_max":
            raise SystemExit(f"stopped at {crawled.stopped or 'the end'}: the queue was not full")
    return max(highest) / 2**20


def main() -> None:
    """Print both peaks and their ratio."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    peaks = {}
    for size in (PART, number):
        peaks[size] = peak(size)
        print(f"{size:,} addresses: {peaks[size]:,.0f} MiB at most", flush=True)
    print(f"{peaks[number] / peaks[PART]:.2f} times the memory for {number // PART} times the addresses")


if __name__ == "__main__":
    main()
