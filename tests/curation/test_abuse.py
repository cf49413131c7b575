from __future__ import annotations

import re

from components.curation.abuse import abusive, abusive_word
from tests.curation.test_rules import LAMP, SECTION


def test_a_word_of_the_list_is_found_in_any_case_and_only_as_a_whole_word() -> None:
    words = ["dolt", "numb skull"]
    assert abusive_word("For a DOLT.", words) == "DOLT"
    assert abusive_word("You Numb Skull!", words) == "Numb Skull"
    assert abusive_word("doltish, dolts", words) == ""
    assert abusive_word("dolt", []) == ""


def test_the_screen_passes_every_text_with_a_word() -> None:
    assert re.search(abusive(["dolt", "a+b"]), "A+B")
    assert not re.search(abusive(["dolt"]), "a lamp of oak")


def test_the_words_that_ship_do_not_stand_in_a_sound_listing() -> None:
    assert abusive_word(LAMP.text, SECTION.abusive_words) == ""
    assert len(set(SECTION.abusive_words)) == len(SECTION.abusive_words) > 0
