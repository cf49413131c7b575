"""Words that tell which kind of price one is, in the texts of shops (many languages) and in their markup.

Texts: English, German, French, Spanish, Portuguese, Italian, Dutch, Swedish, Danish, Norwegian, Finnish,
Polish, Czech, Hungarian, Romanian, Greek, Turkish, Russian, Japanese, Korean. Markup is English nearly
everywhere.
"""

from __future__ import annotations

import re


def _words(*groups: str) -> re.Pattern[str]:
    """A pattern of whole words; `*` stands for letters, `_` for a blank; CJK words need no boundary."""
    entries = [word.replace("_", r"\s") for group in groups for word in group.split()]
    ascii_like = [word.replace("*", r"\w*") for word in entries if not re.search("[\u3040-\ud7a3]", word)]
    others = [word for word in entries if re.search("[\u3040-\ud7a3]", word)]
    whole = rf"(?<!\w)(?:{'|'.join(ascii_like)})(?!\w)"
    return re.compile("|".join([whole, *others]), re.IGNORECASE)


NOT_PAID = _words(
    # an older or recommended price
    "was old previous* original* list rrp msrp instead compare* regular retail_price before lowest uvp",
    "statt bisher früher* vorher regulär* ancien* avant barré conseillé antes anterior tachado",
    "prezzo_precedente originale listino precedente basso adviesprijs van_voor vorige ordinarie tidigare",
    "rek før førpris vejl vejledende veil veiledende norm normaali ovh stara poprzednia najniższa",
    "katalogowa běžná původní eski eredeti régi korábbi prp vechi inițial* αρχική παλιά αρχ стар* було",
    "раньше 通常価格 定価 参考価格 정가 원가",
    # what is saved
    "save saving* off spar* ersparnis économi* ahorr* descuento desconto poupe risparmi* korting bespar*",
    "coupon promo",
    # carriage
    "ship* deliver* postage freight versand* liefer* zustell* fracht livraison port expédition envío",
    "envio entrega frete portes spedizione consegna verzend* bezorg* *frakt *leverans *lieferung",
    "*levering fragt levering toimitu* dostaw* kurier* wysyłk* szállít* livrare transport μεταφορικ*",
    "αποστολ* доставк* plus doprav* kargo 送料 配送 배송비 배송",
    # a part of it
    "month* mo mth monat* mtl rate* raten finanzierung mensual* meses cuotas mes mois mensualité*",
    "parcelas mês rate_da maand* mån* *betala mnd måned* delbetaling kk rat raty miesi* splát* taksit emi",
    "installment* instalment* per_week financ*",
    # a sum to reach, a part, an addition, another tax
    "over above from_orders minimum mindest* ab_einem dès_d'achat orders_over accessories extra deposit",
    "pfand eco-part* éco-part* ecotax reward cashback trade",
    "bank up_to save_up cart basket items kurv warenkorb panier gavekort gift superior* supérieur*",
    "compras achats einkauf* bestellwert",
    # for some only
    "loyalty member* club card subscribe subscription abo abonnement student* bid bod gebot mise enchère",
)
"""In front of a price that is not what the product costs today."""

NOT_PAID_AFTER = re.compile(
    r"^\W{0,3}(?:"
    r"(?:/|per|pro|a|al|por|par|im|i|na|za|je)\s?(?:mo|mth|month|monat|mois|mes|mês|mese|maand|mån|mnd|måned|kk"
    r"|miesi|měs|week|\d*\s?(?:kg|kilo|g|l|ml|100|m|cm|st|unit|kilogramm|liter|litre))"
    r"|mtl|/?mo\b|monthly|sans frais|sem juros|sin inter|senza inter|off\b|rabatt"
    r"|shipping|deliver|postage|frakt|versand|üzeri|of free|more|cheaper|ekstra|extra"
    r"|(?:zzgl|exkl|excl|ohne|plus|ex|\+)\.? ?(?:mwst|ust|vat|tax|btw|moms|iva|tva|dph)|bez dph|excl|ex\b)",
    re.IGNORECASE,
)
INSTALMENTS = re.compile(
    r"\d+\s?(?:x|×|fois|pagos|cuotas|rat|raten|monate|payments|veces|rate|mal|termijnen|delbetalinger)"
    r"(?:\s+(?:à|de|da|of|von|x|rat|zu|van))*\W*$",
    re.IGNORECASE,
)
_WITHOUT = (
    r"ex|excl\w*|exkl\w*|ekskl\w*|without|before|plus|\+|ohne|zzgl|hors|sans|sin|senza|sem|zonder|bez|brez|be|uden|utan"
    r"|uten|ilman|fără|fara|χωρίς|без|без учета|net of"
)
_TAX = (
    r"vat|tax(?:es)?|gst|mwst|ust|mehrwertsteuer|tva|iva|btw|moms|mva|alv|dph|ddv|pdv|áfa|afa|pvn|pvm|km|kdv|ндс|пдв|дд"
    r"|φπα|imposto|impuestos"
)
NET = re.compile(
    rf"(?<!\w)(?:{_WITHOUT})\.?:? ?(?:\d{{1,2}}(?:[.,]\d)? ?% ?)?(?:of )?(?:{_TAX})(?!\w)"
    r"|(?<!\w)(?:net|netto|nettó|h\.?t\.?|htva)(?!\w)"
    rf"|(?:{_TAX}) (?:hariç|nélkül|excluded|excl|nicht enthalten|esclusa|no incluido|não incluído)"
    r"|税抜|税別|별도",
    re.IGNORECASE,
)
"""Beside a price that tax is still added to."""
FROM = re.compile(
    r"(?<!\w)(?:from|starting at|as low as|ab|von|dès|à partir de|a partir de|desde|da|vanaf|från|fra|od"
    r"|alkaen|от|від"
    r"|από|starting from|من|mulai|从)\W{0,3}$",
    re.IGNORECASE,
)
"""Right before the lowest of several prices."""
TO = re.compile(r" ?(?:[-–—~〜～]|to|bis|à|al?|tot|till|til|do|até|hasta|до|até) ?", re.IGNORECASE)
"""Between the two ends of a range of prices."""
PAID = _words(
    "price now today just only our your sale current special deal total preis jetzt heute nur aktuell*",
    "sonderpreis prix maintenant actuel precio ahora hoy oferta preço agora hoje por prezzo ora adesso",
    "prijs nu pris nå nyt hinta cena teraz nyní fiyat şimdi 価格 税込 販売価格 판매가 할인가",
)
"""In front of a price that is what the product costs today."""

BUY = _words(
    "buy add_to order checkout purchase kaufen warenkorb bestellen acheter ajouter panier comprar añadir",
    "adicionar acquista aggiungi koop kopen winkelwagen köp varukorg kjøp køb osta kup koszyka koupit",
    "košíku 購入 カート 구매",
)
"""On the button or link whose price is the product's."""

RELATED = _words(
    "also related similar recommended customers reviews together like_these other_products alternatives",
    "accessories frequently interested_in more_from shop_similar recently_viewed kunden ähnlich* zubehör",
    "passend passt auch_gekauft souvent similaires associés aussi complétez te_puede relacionados",
    "similares también veja_também outros correlati simili anche potrebbe vergelijkbare ook_bekeken",
    "anderen passar liknande andra relaterede lignende andre samankaltaiset myös podobne inni související",
    "podobné benzer おすすめ 関連 추천 비슷한 연관",
)
"""In a short heading above other products."""

ASIDE_NAMES = re.compile(
    r"(?<![a-z])(?:related|similar|recommend\w*|reco|upsell|cross-?sell|carousel|slider|was|old|previous|strik\w*|strike?through"
    r"|rrp|msrp|list-price|saving\w*|save|shipping|ship|delivery|postage|review\w*|compare|instal\w*|emi|financ\w*|credit|before"
    r"|original|basisprice|secondary-price|unit|reference|suggested|crossed|cart-contents|minicart|basket|breadcrumb\w*|fbt|sims"
    r"|affirm|klarna|partpayment|deposit|ecotax|ecopart|subtotal|raty|fulfilment|card|tile|cells?|thumb|other|alternatives"
    r"|recommendations?|loyalty|members?(?:hip)?|discount-rate|org|origin\w*|striked)(?![a-z])"
    r"|oldprice|listprice|compareprice|originalprice|wasprice|priceold|regularprice"
)
"""In class names, ids and data attributes of elements whose price is not the product's."""
PRICE_NAMES = re.compile(
    r"price|amount|cost(?!umer)|pris(?:$|[^a-z])|preis|prix|precio|prezzo|cena|prc(?![a-z])|money"
)
BEST_NAMES = re.compile(
    r"(?<![a-z])(?:current|final|sales?|special|now|main|primary|retail|topay|buy|hero|userprice|total-price|dsc|promo|highlight)"
    r"(?![a-z])|pricetopay|primaryprice|finalprice|saleprice|currentprice"
)
CENT_NAMES = re.compile(
    r"(?<![a-z])(?:cents?|centimes|centavos|c[eé]ntimos|decimals?|dec|fraction(?:al)?|minor|superscript|kopecks)(?![a-z])"
)
"""In class names of the part of a price behind its point."""
NET_NAMES = re.compile(
    r"(?<![a-z])(?:net|netto|excl?(?:uding)?|without|before|no|ex)-?(?:tax|vat|gst|mwst|btw|iva|tva)|tax-?excl?(?![a-z])"
    r"|(?<![a-z])(?:net|price-tax|price-ht|ht)(?![a-z])"
)
"""In class names and keys of a price without its tax."""
LIST_NAMES = re.compile(
    r"regular|(?<![a-z])(?:base|full|crossed|max\w*|high\w*|undiscounted|old|list|was|compare\w*|msrp|rrp|unit)(?![a-z])"
    r"|without-reduction|before"
)
"""In keys and attributes of a price that may be the one from before a reduction."""
