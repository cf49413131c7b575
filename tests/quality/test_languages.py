from __future__ import annotations

import pandas as pd
import pytest

from components.quality.languages import foreign_shares, language_of

ENGLISH = "A lamp of oak with a shade that you can turn, for the desk and the shelf."
GERMAN = "Eine Lampe aus Eiche mit einem Schirm, der sich drehen lässt, für den Tisch und das Regal."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "English"),
        (GERMAN, "German"),
        ("Une lampe en chêne avec un abat-jour pour le bureau et les étagères", "French"),
        ("Лампа из дуба с абажуром", "Cyrillic"),
        ("オーク材のランプ", "Japanese"),
        ("Eisenkoch H436 Pan 4.2 mm\nA body in copper • A detachable grip • A magnetic foot", ""),
        ("Lamp 40 W 230 V 2700 K", ""),
        ("", ""),
    ],
)
def test_a_text_is_in_the_language_of_its_function_words_or_its_script(text: str, language: str) -> None:
    assert language_of(text) == language


def test_the_share_of_other_languages_is_that_of_texts_that_show_one() -> None:
    rows = pd.DataFrame(
        {"split": ["train"] * 4 + ["test"] * 2, "text": [ENGLISH] * 3 + ["40 W", ENGLISH, GERMAN]}
    )
    shares = foreign_shares(rows).set_index("split")["foreign"]
    assert shares.to_dict() == {"test": 0.5, "train": 0.0}
