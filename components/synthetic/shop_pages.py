"""The pages of the demo shop as HTML: front page, categories, products, the forbidden pages, the sitemap.

Product pages come in three kinds of markup. Every kind also shows prices that are not the product's: an older
one, crossed out; shipping; the sum from which shipping is free; those of related products.
"""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote

from components.synthetic.catalogue import Product

JSON_LD, MICRODATA = 0.75, 0.15  # shares of the product pages; the rest has neither
PER_PAGE = 50  # products on a category page


def address(product: Product) -> str:
    """Path of a product's page."""
    return f"/p/{product.sku}"


def front(shelves: dict[str, list[Product]]) -> str:
    """The front page: links to the categories and to one product of each."""
    links = "".join(
        f'<li><a href="{shelf_address(name)}">{escape(name)}</a></li>' for name in sorted(shelves)
    )
    teasers = "".join(_card(shelves[name][0]) for name in sorted(shelves))
    return _page("The demo shop", f"<main><h1>The demo shop</h1><ul>{links}</ul><ul>{teasers}</ul></main>")


def category(name: str, shelf: list[Product], dead: list[str]) -> dict[str, str]:
    """The pages of one category, by path; the last one still links to the `dead` paths, which answer 404."""
    starts = range(0, max(len(shelf), 1), PER_PAGE)
    pages = {}
    for number, start in enumerate(starts, start=1):
        cards = "".join(_card(product) for product in shelf[start : start + PER_PAGE])
        if number == len(starts):
            cards += "".join(f'<li><a href="{gone}">Discontinued</a></li>' for gone in dead)
            following = ""
        else:
            following = f'<a rel="next" href="{shelf_address(name, number + 1)}">Next page</a>'
        body = f"<main><h1>{escape(name)}</h1><ul>{cards}</ul>{following}</main>"
        pages[shelf_address(name, number)] = _page(name, body)
    return pages


def shelf_address(name: str, number: int = 1) -> str:
    """Path, with query from the second page on, of a category page."""
    path = f"/c/{quote(name.lower().replace(' ', '-'))}"
    return path if number == 1 else f"{path}?page={number}"


def staff(products: list[Product]) -> str:
    """A page that robots.txt forbids: what the shop pays for its goods."""
    rows = "".join(
        f"<li>{escape(product.title)}: ${product.median / 2:.2f}</li>" for product in products[:20]
    )
    return _page("Purchase prices", f'<main><ul>{rows}</ul><a href="/staff/suppliers">Suppliers</a></main>')


def sitemap(base: str, parts: list[list[str]]) -> dict[str, str]:
    """The index of the sitemap and its parts, by path; their URLs begin with `base`."""
    namespace = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    pages = {}
    for number, part in enumerate(parts, start=1):
        entries = "".join(f"<url><loc>{base}{path}</loc></url>" for path in part)
        pages[f"/sitemap-{number}.xml"] = f"<urlset {namespace}>{entries}</urlset>"
    entries = "".join(f"<sitemap><loc>{base}{path}</loc></sitemap>" for path in pages)
    return {"/sitemap.xml": f"<sitemapindex {namespace}>{entries}</sitemapindex>", **pages}


def product(product: Product, related: list[Product], markup: float) -> str:
    """A product page; `markup` in [0, 1) picks the kind of its structured data."""
    others = "".join(_card(other) for other in related)
    aside = f'<section class="related"><h2>You may also like</h2><ul>{others}</ul></section>'
    trail = (
        '<nav class="breadcrumb"><a href="/">Home</a> '
        f'<a href="{shelf_address(product.category)}">{escape(product.category)}</a></nav>'
    )
    if markup < JSON_LD:
        main = f"<main>{_json_ld(product)}<h1>{escape(product.title)}</h1>{_visible(product)}{aside}</main>"
    elif markup < JSON_LD + MICRODATA:
        main = _microdata(product, aside)
    else:
        main = f"<main><h1>{escape(product.title)}</h1>{_visible(product)}{aside}</main>"
    return _page(product.title, trail + main)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head><body>"
        '<header><a href="/">The demo shop</a> <span>Free shipping over $50</span></header>'
        f'{body}<footer><a href="/staff/">Staff</a> <span class="price">$5.90</span> flat rate</footer>'
        "</body></html>"
    )


def _card(product: Product) -> str:
    price = "Price on request" if product.price is None else f"${product.price}"
    link = f'<a href="{address(product)}">{escape(product.title)}</a>'
    return f'<li>{link} <span class="price">{price}</span></li>'


def _visible(product: Product) -> str:
    """The visible part below the heading, in one of three layouts."""
    specs = {"Brand": product.brand, **product.details}
    old, layout = _old_price(product), len(product.title) % 3
    if product.price is None:
        price = '<p class="price">Price on request</p>'
    elif layout == 0:
        price = f'<p><del class="price">${old}.00</del> <span class="price">${product.price}.00</span></p>'
    elif layout == 1:
        price = f"<p>Was <b>${old}</b></p><p>Our price: <b>USD {product.price}</b></p>"
    else:
        crossed_out = f'<span style="text-decoration: line-through">${old}</span>'
        price = f'<div id="buy">{crossed_out} <b>${product.price}</b></div>'
    if layout == 1:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in specs.items()
        )
        table = f"<table>{rows}<tr><th>Shipping</th><td><b>$5.90</b></td></tr></table>"
    else:
        rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in specs.items())
        table = f"<dl>{rows}</dl><p>Shipping: <b>$5.90</b></p>"
    return f'{price}{table}<div class="description">{_paragraphs(product.description)}</div>'


def _json_ld(product: Product) -> str:
    node: dict[str, object] = {
        "@type": "Product",
        "url": address(product),
        "sku": product.sku,
        "name": product.title,
        "description": product.description,
        "category": product.category,
        "brand": {"@type": "Brand", "name": product.brand},
        "additionalProperty": [
            {"@type": "PropertyValue", "name": name, "value": value}
            for name, value in product.details.items()
        ],
    }
    if product.price is not None:
        node["offers"] = {"@type": "Offer", "price": f"{product.price}.00", "priceCurrency": "USD"}
    home = {"@type": "BreadcrumbList", "itemListElement": []}
    text = json.dumps({"@context": "https://schema.org", "@graph": [home, node]}, ensure_ascii=False)
    safe = text.replace("</", r"<\/")  # a description must not close the script
    return f'<script type="application/ld+json">{safe}</script>'


def _microdata(product: Product, aside: str) -> str:
    """The page with microdata; a related product and its price are a nested item."""
    schema = 'itemscope itemtype="https://schema.org'
    specs = "".join(
        f'<li itemprop="additionalProperty" {schema}/PropertyValue">'
        f'<span itemprop="name">{escape(name)}</span>: <span itemprop="value">{escape(value)}</span></li>'
        for name, value in product.details.items()
    )
    price = '<p class="price">Price on request</p>'
    if product.price is not None:
        price = (
            f'<p itemprop="offers" {schema}/Offer"><s>${_old_price(product)}</s> '
            f'<meta itemprop="priceCurrency" content="USD"><b itemprop="price" content="{product.price}">'
            f"${product.price}</b></p>"
        )
    other = (
        f'<div itemprop="isRelatedTo" {schema}/Product"><span itemprop="name">Gift card</span>'
        f'<p itemprop="offers" {schema}/Offer"><span itemprop="price">25</span></p></div>'
    )
    return (
        f'<main {schema}/Product"><h1 itemprop="name">{escape(product.title)}</h1>{other}'
        f'<meta itemprop="category" content="{escape(product.category)}">'
        f'<p itemprop="brand" {schema}/Brand">by <span itemprop="name">{escape(product.brand)}</span></p>'
        f'{price}<ul>{specs}</ul><div itemprop="description">{_paragraphs(product.description)}</div>'
        f"{aside}</main>"
    )


def _paragraphs(text: str) -> str:
    return "\n".join(f"<p>{escape(part)}</p>" for part in text.split("\n") if part.strip())


def _old_price(product: Product) -> int:
    return round((product.price or 0) * 1.25) + 1
