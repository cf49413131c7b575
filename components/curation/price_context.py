"""What stands beside a number in running text and makes it a price, or a measure: expressions by their place.

English; of other languages what their shops write where no sign of a currency stands by. For `price_mentions`
and, as the screen of whole columns, for `columnar`.
"""

from __future__ import annotations

from components.core.currencies import COUNTRIES, SIGNS


def _any(*lines: str) -> str:
    """An expression of one of the entries; within one `_` stands for a blank."""
    return "|".join(entry.replace("_", r"\s") for line in lines for entry in line.split())


# --- currencies --------------------------------------------------------------------------------------

_LETTER = r"[^\W\d_]"
_WORDY = {"ALL", "AMD", "BAM", "BOB", "COP", "GEL", "MAD", "MDL", "PEN", "PHP", "RON", "TRY"}
CODES = "|".join(sorted(set(COUNTRIES) - _WORDY))
WORDY_CODES = "|".join(sorted({*_WORDY, "RM"}))
"""Codes that are words, makers or parts of names, too: a price only beside cents."""
SYMBOLS = "$¥" + "".join(sign for sign in SIGNS if len(sign) == 1 and not sign.isalpha())
_NAMES_BEFORE = _any("rs kr sfr rp fr ksh zł kč lei")
_NAMES_AFTER = _any("zł kč kr tl лв руб грн lei rs ft")
CURRENCY_WORDS = _any(
    r"(?:(?:U\.?S\.?A?|American|Canadian|Australian)[_-])?dollars? bucks? cents? euros? pesos",
    "rupees? francs quid pence pounds?_sterling kron(?:or|er|a|e) yen yuan z[lł]ot(?:y|ych) forint",
    "reais baht liras? rou?bles shekels dirhams riyals rand",
)
_STORE = r"(?!\s(?i:stores?|tree|general|sign|bills?)\b)"
BEFORE = (
    rf"(?:(?:(?<!{_LETTER})(?:US|CA|AU|NZ|HK|NT|MX|CDN|MXN|C|A|R|S)\s?)?[{SYMBOLS}]|[円元원]|(?<!\w)S/"
    rf"|(?<!{_LETTER})(?:(?i:{CODES})|(?:[Rr]s|[Kk]r|SFr|Rp)\.?|Fr\.|KSh|zł|Kč|Lei|lei))"
)
"""The name of a currency in front of its amount."""
AFTER = (
    rf"(?:\s?(?:[{SYMBOLS}](?!\s?\d)|[¢円元원])"
    rf"|\s?(?:(?i:{CODES})|zł|Kč|[Kk]r\.?|TL|лв|руб|грн|lei|Rs)(?![^\W_])"
    rf"|(?:\s(?:thousand|million|billion))?[\s-]?(?i:{CURRENCY_WORDS})\b{_STORE})"
)
"""The name of a currency behind its amount."""

# --- amounts in words --------------------------------------------------------------------------------

_TENS = r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty"
_TEENS = r"ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
_DIGITS = r"one|two|three|four|five|six|seven|eight|nine"
_NUMERAL = rf"(?:{_TENS}|{_TEENS}|{_DIGITS}|hundred|thousand|million)"
SPELLED = rf"\b(?:(?:an?|half\sa)[\s-])?{_NUMERAL}(?:(?:[\s-]|\sand\s){_NUMERAL}){{0,8}}"
"""A number in words; bounded, so that a text of such words alone takes no longer."""
SPELLED_CURRENCY = rf"[\s-](?:{CURRENCY_WORDS})\b{_STORE}"
ONE = rf"\ba\s(?:dollar|buck|quid)\b{_STORE}"
LARGE = rf"{_TENS}|{_TEENS}|hundred|thousand"

# --- in front ----------------------------------------------------------------------------------------

PRICE_LEAD = _any(
    "(?:(?:list|sale|retail|regular|unit|our|your|best)_)?prices?",
    "priced pricing msrp rrp srp uvp costs? costing pay pays paid paying asking retails?",
    "retailing valued worth discounted reduced marked_down slashed lowered sell sells selling bargain",
    "clearance spend spent spending yours down_from as_low_as starts?_at starting_(?:at|from) listed_at",
    "listing_at tag_says till_says go(?:es|ing)?_for",
    "(?:trade-in|resale|cash|estimated|est\\.?|retail|market|replacement)_value quoted? cheaper_than",
    "markdown fetch(?:es)? sold_at (?:pay|install?)ments?_of sold_for priced_to_(?:move|sell|go)",
    "(?:bargain|steal|available|offered)_(?:now_)?(?:for|at)_(?:just|only) drop(?:s|ped)?_(?:from|to)",
    "(?:buy|bought|sold|selling|get|got|order|grab|snag)_(?:it|one|them|yours|here)_(?:now_)?(?:for|at)",
    "buy_now you_save bids? budget compare_at comparable_at preis prix precio prezzo prijs pris cena",
    "preço",
)
"""Words that say that the number behind them is an amount of money, whatever it looks like."""
TURN_LEAD = _any(
    "was were now ours this_(?:week|weekend|month) new_price only just today sale saves? saving savings",
    "deal special offers? reg regular regularly orig originally normally usually formerly previously",
    "list before minimum_order instead_of total subtotal fee deposit shipping postage delivery p&p",
    "invoice refund discount rebate tip charges? mere statt nur jetzt seulement solo sólo ahora antes adesso",
    "slechts nu endast kun tylko teraz",
)
"""Words that shops put in front of a price, and everybody in front of anything."""
FAR_LEAD = _any("for at from under below por für ab von à voor od za")
"""Words in front of a price that say nothing by themselves."""
NEXT_LEAD = _any("from to over take ours(?:_for)? it['’]s it_is at under then later(?:_for)? or")
"""Words in front of the second of two prices that stand near each other: "reduced to 25 from 60"."""
_GLUE_WORDS = _any(
    "is are of at for to from by just only now today was an? mere about around roughly approximately",
    "approx under over below less than more up it you your yours them all as low starting tag range point",
    "value online per unit each one set pair item new our this the here down special sale final current",
    "be will would currently still nearly almost some me us deal offer price in-store retail list",
    "regular original drop cut day week",
)
COUNT_LEAD = "(?:" + "|".join(rf"(?<=\b{word}\s\d\s)" for word in ("any", "buy", "get", "pick")) + r")for\s"
"""In front of the price of several: "buy 3 for 30"."""
GLUE = rf"(?:[\s:=!~*(–—-]|\([A-Z]{{3}}\)|\.(?=\s)|\b(?:{_GLUE_WORDS})\b)"
"""What may stand between such a word and its number."""
_REMOVED = _any(
    "for at only just now was under over from up_to priced prices? save (?:list_)?price msrp rrp sale",
    "reduced_to down_from starting_at as_low_as worth about around a_mere between to",
)
REMOVED_LEADS = rf"(?:\b(?:{_REMOVED})\b[:\s]*){{1,5}}$"
"""Words that are taken out with their price."""

# --- behind ------------------------------------------------------------------------------------------

_PLACES = _any(
    "the our all this stores? any your stock total most cash january february march april may june july",
    "august september october november december",
)
_UNITS = _any(
    rf"in(?!_(?:{_PLACES})\b)(?:\.|ch|ches)? mm cm dm m km met(?:er|re)s? ft foot feet yards? yd miles? mi",
    "lbs? pounds? oz ounces? kg g mg grams? kilos? tons? ml cl l lit(?:er|re)s? gal gallons? quarts? qt",
    "pints? cups? cu cubic sq square gb tb mb kb gib mp megapixels? [kmg]?hz k?w watts? k?wh v volts?",
    "m?ah ma amps? amperes? ohms? db psi bar rpm mph cfm btu lumens? lm lux k kelvin degrees? deg",
    "carats? ct ctw x by_\\d times seconds? secs? s minutes? mins? hours? hrs? h days? weeks? months?",
    "years? yrs? nits dpi ppi fps gsm denier mil gauge ga percent pct stars? points? diopters?",
    "magnification zoom dia diameter wide long tall high deep thick ply cc hp nm ip",
)
MEASURE = (
    rf"(?:\s?[%°\"'”″′’×]|\s?(?:to|or|-|–)\s?[\d.]+\s?(?i:{_UNITS})\b|[\s-]?(?:(?i:{_UNITS})|A)\b"
    r"|\s?\((?:[WDHL]|[Dd]ia)\b|\s[WDHL]\b|\s?[x×*]\s?[\d.]|[:/]\d|[\s-]\d+/\d)"
)
"""Behind a number that is a measure."""
_GOES_ON = _any(
    "and or with for each per plus when while today now was on at off this including incl inc shipped",
    "delivered until till only just instead from free obo ono but if because here online the to as is",
    "before after excluding excl apiece firm vs versus retail value less during though that which we it",
    "they so net compared through via not msrp rrp list you your our has makes save reg regularly",
    "altogether down ex tax even",
    rf"elsewhere an in_(?:{_PLACES}) includes included buys gets gives seems by_an? later",
    "all_in everywhere last a_(?:piece|pair|set|month|week|night|unit|box|pop) right straight postage",
    "then what",
    r"(?:new|used)(?=\s*(?:[.,;!?]|$))",
)
BARE = (
    r"(?:\s*$|[.,;:!?)\]*…]+(?:$|\s(?!(?<=\d\.\s)\d))|\s?[-–—|(/+&](?:\s|[^\W\d])|\s?\("
    rf"|\s(?i:{_GOES_ON})\b)"
)
"""Behind a number that counts and measures nothing."""
PRICE_AFTER = (
    r"(?:\s(?i:each|apiece|(?:plus|\+)\s(?:shipping|tax|postage|s&h|p&p|delivery)|shipped|delivered|retail"
    r"|value|msrp|rrp|list\sprice|off\b(?!-)|per\s(?:unit|piece|month|night|person|box|item|pair|set|year)|incl|inc"
    r"|a\s(?:piece|month|night|unit|pop))\b|\s?/\s?(?i:ea|each|mo|month|unit|pc|night)\b)"
)
"""Behind an amount with cents that is a price."""
OFFER_AFTER = (
    r"(?:\s(?i:obo|ono|apiece|or\sbest\soffer|firm|a\s(?:pair|piece|pop|dozen))\b"
    r"|\s?\+\s?(?i:shipping|postage|s&h|p&p|tax)\b)"
)
"""Behind any amount that is a price."""
OFF_AFTER = r"\soff\b(?![ -]?(?:road|grid|white|the\s(?:ground|wall|floor)))"
OFF_BEFORE = r"\b(?:take|takes|get|extra|save|another|additional|knock|knocked)\s$"
"""Around an amount that a price is lowered by."""
CHARM = r"\d*[.,](?:9[5-9]|49)"
"""Cents that prices love and measures hardly have: of 28,841 numbers in real listings, 1 stands alone."""

# --- a column ----------------------------------------------------------------------------------------

_OFFER_WORDS = "obo|ono|apiece|best offer|firm|a (?:pair|piece|pop|dozen)|off"
SCREEN = "(?i)" + "|".join(
    [
        rf"[{SYMBOLS}¢円元원ıİ]",
        r"\pN[.,:] ?[-–—]|[.,](?:9[5-9]|49)",
        rf"(?:{CODES}|{WORDY_CODES}|s/|{_NAMES_BEFORE})\.? ?:? ?\pN",
        rf"\pN[ -]?(?:{CODES}|{WORDY_CODES}|{_NAMES_AFTER})",
        CURRENCY_WORDS,
        rf"\b(?:{PRICE_LEAD}|{TURN_LEAD}|{_OFFER_WORDS})\b",
        r"\pN for \pN|\+ ?(?:shipping|postage|s&h|p&p|tax)",
        rf"(?:{FAR_LEAD}) [\pN.,'’]+[.,]\pN\pN|[.,]\pN\pN ?(?:/|[a-z+])",
    ]
)
"""Of RE2, on a text without repeated blanks: it finds something in every text that has a price."""
