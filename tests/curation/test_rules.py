from __future__ import annotations

import numpy as np
import pytest

from components.core.params.curate import Balance
from components.core.params.file import load_params
from components.curation.minhash import Neighbours
from components.curation.products import draws_of
from components.curation.rules import (
    NAMES,
    Candidate,
    first_rejection,
    names_of,
    overfull_price_bands,
    repeated_by,
)
from tests.support.project import ROOT

SECTION, TASK = (params := load_params(ROOT / "params.yaml")).curate, params.task
LAMP = Candidate(
    id="a",
    title="Oak lamp 40W",
    brand="Lumo",
    category="Lamps",
    description="A lamp of oak with 2 switches",
    details={"Power": "40 W"},
    text="Oak lamp 40W\nBrand: Lumo.\nA lamp of oak with 2 switches",
    written="$40",
    target=40.0,
    currencies={"USD"},
    rights="",
    source="files",
    address="a:1",
)
PAIR = Neighbours(first=np.array([0, 1]), pairs=np.array([[0, 1]]))
TWINS = Neighbours(first=np.array([0, 0]), pairs=np.empty((0, 2), np.int64))


def test_a_sound_candidate_passes_every_rule() -> None:
    assert first_rejection(LAMP, SECTION, TASK) is None
    assert first_rejection(LAMP._replace(currencies=set()), SECTION, TASK) is None


@pytest.mark.parametrize(
    ("rule", "change", "reason"),
    [
        ("no_price", {"written": "", "target": None}, "no price"),
        ("unreadable_price", {"written": "call", "target": None}, "'call'"),
        ("price_out_of_range", {"target": 0.0}, "price 0 is not between 0.5 and 999"),
        ("price_out_of_range", {"target": -3.0}, "-3"),
        ("price_out_of_range", {"target": 0.49}, "not between 0.5 and 999 (task.number)"),
        ("price_out_of_range", {"target": 999.01}, "999.01"),
        ("other_currency", {"currencies": {"USD", "EUR"}}, "in EUR, not in USD"),
        ("other_currency", {"currencies": {"JPY"}, "target": 4000.0}, "in JPY, not in USD"),
        ("no_text", {"title": "", "description": ""}, "0 characters"),
        ("no_text", {"title": "Lamp", "description": "Red"}, "7 characters, fewer than 20"),
        ("rights_reserved", {"rights": "tdm-reservation: 1 (header)"}, "tdm-reservation: 1 (header)"),
        ("personal_data", {"description": "A lamp of oak, ask ann@example.org"}, "a mail address"),
        ("personal_data", {"details": {"Seller": "(212) 555-0199"}}, "a phone number"),
        ("abuse", {"title": f"A lamp for {SECTION.abusive_words[0]}"}, repr(SECTION.abusive_words[0])),
    ],
)
def test_each_rule_rejects_its_fault_with_a_reason(rule: str, change: dict, reason: str) -> None:
    rejection = first_rejection(LAMP._replace(**change), SECTION, TASK)
    assert rejection is not None
    assert rejection.rule == rule
    assert reason in rejection.reason
    assert rule in NAMES


@pytest.mark.parametrize(
    ("rule", "change", "names", "reason"),
    [
        ("no_label", {"written": "", "target": None}, [], "the source gives no category"),
        ("no_label", {"written": "", "target": None}, ["Lamps", "Tents"], "the source gives no category"),
        ("unknown_label", {"written": "Saws", "target": None}, ["Lamps", "Tents"], "'Saws' is not among"),
        ("rare_label", {"written": "Saws", "target": None}, [], "fewer than 20 listings have 'Saws'"),
        ("no_text", {"title": "Lamp", "description": "Red"}, [], "7 characters"),
        ("rights_reserved", {"rights": "tdm-reservation: 1 (header)"}, [], "tdm-reservation"),
    ],
)
def test_each_rule_on_labels_rejects_its_fault_with_a_reason(
    rule: str, change: dict, names: list[str], reason: str
) -> None:
    label = TASK.label.model_copy(update={"names": names})
    task = TASK.model_copy(update={"kind": "label", "label": label})
    lamp = LAMP._replace(written="Lamps", target=0.0, currencies=set())
    assert first_rejection(lamp, SECTION, task) is None
    rejection = first_rejection(lamp._replace(**change), SECTION, task)
    assert rejection is not None
    assert rejection.rule == rule
    assert reason in rejection.reason
    assert rule in names_of("label")


def test_each_kind_of_task_has_its_own_rules_and_those_on_texts() -> None:
    number, label = names_of("number"), names_of("label")
    assert {rule for rule in number if "price" in rule or "currency" in rule} == set(number) - set(label)
    assert set(label) - set(number) == {"no_label", "unknown_label", "rare_label"}
    assert set(NAMES) == {*number, *label}


def test_of_several_faults_the_first_rule_is_the_reason() -> None:
    empty = LAMP._replace(written="", target=None, title="", description="")
    rejection = first_rejection(empty, SECTION, TASK)
    assert rejection is not None
    assert rejection.rule == "no_price"


def test_a_near_duplicate_at_the_same_price_under_another_title_is_rejected() -> None:
    again = LAMP._replace(id="b", title="Oak lamp bestseller", details={})
    for neighbours in (PAIR, TWINS):
        assert repeated_by([LAMP, again], neighbours).tolist() == [0, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"target": 41.0},
        {"title": "Oak lamp 60W"},
        {"description": "A lamp of oak with 3 switches"},
        {"details": {"Power": "60 W"}},
    ],
)
def test_a_near_duplicate_with_another_price_number_or_specification_is_kept(change: dict) -> None:
    for neighbours in (PAIR, TWINS):
        assert repeated_by([LAMP, LAMP._replace(id="b", **change)], neighbours).tolist() == [0, 1]


def test_a_listing_is_not_rejected_for_repeating_one_that_was_rejected_itself() -> None:
    middle = LAMP._replace(id="b", title="Oak lamp")
    last = LAMP._replace(id="c", title="Oak lamp 60W")  # repeats the middle one, not the first
    repeated = repeated_by([LAMP, middle, last], Neighbours(np.zeros(3, int), TWINS.pairs))
    assert repeated.tolist() == [0, 0, 2]


def test_a_currency_with_a_rate_passes_where_it_is_the_only_one() -> None:
    section = SECTION.model_copy(update={"rates": {"EUR": 1.1}})
    assert first_rejection(LAMP._replace(currencies={"EUR"}), section, TASK) is None
    rejection = first_rejection(LAMP._replace(currencies={"EUR", "USD"}), section, TASK)
    assert rejection is not None
    assert rejection.rule == "other_currency"


# --- balance -----------------------------------------------------------------------------------------

PRICES = np.array([20.0] * 900 + [420.0] * 100)
IDS = [f"{number}" for number in range(1000)]


def left_out(strength: float, seed: int = 1) -> set[int]:
    balance = Balance(band=100.0, strength=strength)
    return set(overfull_price_bands(PRICES, draws_of(IDS, seed), balance).positions.tolist())


def test_without_strength_no_listing_is_left_out_of_its_price_band() -> None:
    assert left_out(0.0) == set()


def test_only_an_overfull_price_band_is_thinned_to_the_mean_of_all() -> None:
    thinned = left_out(1.0)
    assert 340 < len(thinned) < 460  # 900 of two bands with 1000: 500 are to stay
    assert max(thinned) < 900
    assert thinned == left_out(1.0)
    assert thinned != left_out(1.0, seed=2)
    assert len(thinned) > len(left_out(0.5)) > 0


def test_the_draw_of_a_listing_does_not_depend_on_the_order() -> None:
    turned = overfull_price_bands(PRICES[::-1], draws_of(IDS[::-1], 1), Balance(band=100.0, strength=1.0))
    assert {999 - position for position in turned.positions.tolist()} == left_out(1.0)
    assert turned.reasons[turned.band[0]] == "900 listings cost 0 to 100: 56% of them are drawn"


def test_no_listings_have_no_bands() -> None:
    nothing = overfull_price_bands(np.empty(0), draws_of([], 1), Balance(band=100.0, strength=1.0))
    assert not len(nothing.positions)
