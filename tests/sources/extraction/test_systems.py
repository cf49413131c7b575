"""Layouts of shop systems that exist (tests/pages/systems): each price, its currency, kind and reading."""

import pytest

from benchmarks.extract import LabelledPage, is_right, pages
from components.sources.extraction.product import extract

SYSTEMS = [page for page in pages() if page.page.startswith("systems/")]
READINGS = {
    "shopify_product_json": ("state", "variants"),
    "shopify_analytics": ("state", ""),
    "nextjs_commerce": ("state", "variants"),
    "vue_storefront_nuxt2": ("state", ""),
    "shopware_frontends_nuxt3": ("state", ""),
    "magento2_tax_both": ("page", ""),
    "magento2_price_attribute": ("attribute", ""),
    "woocommerce_variable": ("state", "variants"),
    "woocommerce_variations_only": ("state", "variants"),
    "woocommerce_sale_list_in_markup": ("page", ""),
    "woocommerce_tax_suffix": ("page", ""),
    "prestashop_tax_excluded": ("page", ""),
    "prestashop_data_product": ("state", ""),
    "shopware6_net_small": ("page", ""),
    "bigcommerce_with_tax": ("page", ""),
    "salesforce_sfra_list": ("page", ""),
    "salesforce_datalayer": ("state", ""),
    "wix_warmup": ("state", ""),
    "squarespace_variants": ("state", "variants"),
    "opencart_ex_tax": ("page", ""),
    "salla_arabic": ("page", ""),
    "zid_arabic_code": ("page", ""),
    "commercetools_state": ("state", ""),
    "sap_spartacus": ("state", ""),
    "shoptet_vat": ("state", ""),
    "vtex_split": ("page", ""),
    "raised_cents_no_sup": ("page", ""),
    "tiendanube_variants": ("state", ""),
    "odoo_website_sale": ("page", ""),
    "nopcommerce": ("page", ""),
    "eccube_tax": ("page", ""),
    "bitrix_rubles": ("page", ""),
    "ecwid_from": ("page", "from"),
    "woocommerce_range_sign_behind": ("page", "range"),
}


@pytest.mark.parametrize("page", SYSTEMS, ids=[page.layout for page in SYSTEMS])
def test_the_price_of_a_shop_system_s_page_is_read_where_it_stands(page: LabelledPage) -> None:
    extracted = extract(page.html, page.url)
    assert is_right(page, extracted), (extracted.price, extracted.currency, extracted.places)
    reading = READINGS[page.page.removeprefix("systems/")]
    assert (extracted.found_in, extracted.price_kind) == reading
    assert extracted.title == page.title


def test_every_layout_of_a_shop_system_has_its_reading() -> None:
    assert {page.page for page in SYSTEMS} == {f"systems/{name}" for name in READINGS}
    assert len({page.layout.split()[0].strip(",") for page in SYSTEMS}) >= 20
