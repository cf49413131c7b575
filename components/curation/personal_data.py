"""Mail addresses and phone numbers in the texts of listings, for `curate`.

A listing that names one is rejected, not masked: who leaves a number tends to leave a name beside it, which
no pattern finds. Free numbers (800 and the like) are a company's, no person's. Phone numbers are recognized
where they have a country code, the North American form, or a word such as "call" before them.
"""

from __future__ import annotations

import re

PERSONAL = r"@|\+[0-9]|[0-9][0-9 ()./-]{5,}[0-9]"  # RE2: whatever the patterns below match contains this
MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}\b")
FREE = r"(?!1?[ .-]?\(?(?:800|888|877|866|855|844|833|822)\b)"
PHONE = re.compile(
    rf"(?<![\w.,/+-]){FREE}"
    r"(?:\+[0-9]{1,3}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{2,4}(?:[ .-]?[0-9]{2,4}){1,4}"
    r"|(?:1[ .-])?(?:\([2-9][0-9][0-9]\) ?|[2-9][0-9][0-9][ .-])[0-9]{3}[ .-][0-9]{4})(?![\w-]|[.,][0-9])"
)
CALLED = re.compile(
    r"(?i)\b(?:call|phone|telephone|tel|mobile|whatsapp)\b"
    r"(?:[ .:]| us\b| me\b| at\b| on\b| now\b| number\b){1,4}"
    rf"{FREE}\+?\(?[0-9]{{2,5}}\)?[ ./-]?[0-9]{{2,9}}(?:[ ./-][0-9]{{2,5}}){{0,3}}(?![\w-])"
)
DIGITS = (7, 15)  # of a phone number (ITU-T E.164)


def personal_data(text: str) -> str:
    """What kind of personal data the text names: `a mail address`, `a phone number`, empty for none."""
    if MAIL.search(text):
        return "a mail address"
    numbers = (match.group() for pattern in (PHONE, CALLED) for match in pattern.finditer(text))
    if any(DIGITS[0] <= sum(map(str.isdigit, number)) <= DIGITS[1] for number in numbers):
        return "a phone number"
    return ""
