"""Small product pages for the tests of extraction."""

import json

PRODUCT = {
    "@type": "Product",
    "name": "Kettle &amp; Cup",
    "description": "Boils\n water.",
    "brand": {"@type": "Brand", "name": "Vela"},
    "category": "Kitchen",
    "additionalProperty": [{"@type": "PropertyValue", "name": "Volume", "value": 1.5, "unitText": "l"}],
    "offers": {"@type": "Offer", "price": "1,299.90", "priceCurrency": "usd"},
}


def json_ld(*blocks: object) -> str:
    """A page with these blocks of JSON-LD."""
    scripts = "".join(f'<script type="application/ld+json">{json.dumps(block)}</script>' for block in blocks)
    return f"<html><head>{scripts}</head><body><h1>Seen</h1></body></html>"


def page(body: str) -> str:
    """A page with this body below its heading."""
    return f"<html><body><main><h1>Kettle</h1>{body}</main></body></html>"
