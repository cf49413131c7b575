from __future__ import annotations

import re
import time

import pytest

from components.curation.personal_data import PERSONAL, personal_data

NAMED = {
    "Write to ann.lee+shop@mail.example.co.uk": "a mail address",
    "ANN@EXAMPLE.ORG": "a mail address",
    "Ask Ann, (212) 555-0199, for more": "a phone number",
    "Ask for it: 212-555-0199": "a phone number",
    "1-212-555-0199": "a phone number",
    "Pick up in Leeds, +44 113 496 0999": "a phone number",
    "+491511234567": "a phone number",
    "Call me 030 901820": "a phone number",
    "WhatsApp: 5550199234": "a phone number",
}
NOT_NAMED = [
    "Toll free 800-555-0199 or 1 (888) 555-0199",
    "Call us at 1-800-555-0199",
    "For HTC these SP R140 60-3269-05-XP screen protectors",
    "3-Axis Phone Gimbal for iPhone 14 13 12 11 Pro Max",
    "cell phone with this Samsung 34-2939-05-XP hard shell",
    "Size 125 x 40 x 60 mm, 1920-1080 pixels, 2015-09-05",
    "ISBN 978-3-16-148410-0",
    "temperatures of +10 to +40 degrees, up to +125 C",
    "EAN 4006381333931, lot 2125550199",
    "a 5.5@2x picture, rated 4.5 @ 12 V",
    "",
]


@pytest.mark.parametrize("text", NAMED)
def test_mail_addresses_and_phone_numbers_are_named(text: str) -> None:
    assert personal_data(text) == NAMED[text]
    assert re.search(PERSONAL, text)


@pytest.mark.parametrize("text", NOT_NAMED)
def test_free_numbers_codes_sizes_and_dates_are_none(text: str) -> None:
    assert personal_data(text) == ""


@pytest.mark.parametrize("piece", ["a.", "1 ", "call ", "+1 (", "@b.", "212 "])
def test_the_work_for_a_text_grows_with_its_length_alone(piece: str) -> None:
    def seconds(repeats: int) -> float:
        text, times = piece * repeats, []
        for _ in range(3):
            start = time.process_time()
            assert personal_data(text) == ""
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(16_000) < 3.5 * seconds(8_000) + 0.01
