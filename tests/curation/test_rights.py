from __future__ import annotations

import pytest

from components.core.params.curate import Rights
from components.curation.rights import refusal
from tests.curation.test_rules import SECTION

OPEN = Rights(trainable=["*creativecommons.org/licenses/by/*", "CC0*"], refused=["*-nc*"], unstated=False)


@pytest.mark.parametrize(
    "stated", ["", "CC BY 4.0", "https://shop.example/terms", "tdm-reservation: 0 (meta)"]
)
def test_by_default_all_may_train_that_is_not_reserved(stated: str) -> None:
    assert refusal(stated, SECTION.rights) == ""


@pytest.mark.parametrize(
    "stated", ["tdm-reservation: 1 (meta tag)", "CC BY 4.0; robots: noai", "No AI training allowed"]
)
def test_by_default_a_reservation_refuses(stated: str) -> None:
    assert refusal(stated, SECTION.rights).startswith("the source reserves its use: ")


def test_where_licences_are_named_every_statement_needs_one_and_silence_is_refused() -> None:
    licence = "https://creativecommons.org/licenses/by/4.0/"
    assert refusal(f"{licence}; cc0 1.0", OPEN) == ""
    assert "no pattern of curate.rights.trainable covers: all" in refusal(f"{licence}; all rights", OPEN)
    assert refusal("", OPEN) == refusal(" ; ", OPEN) == "the source states no rights"
