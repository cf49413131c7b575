"""The labels that may be answered: how they are read, and what a distribution over them says."""

from __future__ import annotations

import numpy as np
import pytest

from components.model.labels import Labels

HOME = Labels(("Home", "Home & Garden", "Home & Garden Tools", "Café", "4K TV"))
ABC = Labels(("a", "b", "c"))
NAN = float("nan")


@pytest.mark.parametrize(
    ("completion", "name"),
    [
        ("Home", "Home"),
        (" Home & Garden", "Home & Garden"),
        ("\nHome & Garden Tools.", "Home & Garden Tools"),
        ("Home & Gardening", "Home"),
        ("Home & Garden Toolshed", "Home & Garden"),
        ("Home, or Café", "Home"),
        ("Home\nCafé", "Home"),
        ("Café", "Café"),
        ("4K TV", "4K TV"),
        ("Homes", None),
        ("Home2", None),
        ("Cafés", None),
        ("4K", None),
        ("home", None),
        ("It is Home", None),
        ("", None),
    ],
)
def test_a_completion_is_the_longest_name_that_it_begins_with_and_that_ends_with_its_word(
    completion: str, name: str | None
) -> None:
    assert HOME.read(completion) == (None if name is None else HOME.names.index(name))


def test_which_of_two_names_stands_first_decides_nothing() -> None:
    turned = Labels(HOME.names[::-1])
    for name in HOME.names:
        assert turned.read(f" {name}") == turned.place(name)


def test_what_is_spelled_is_read_as_itself() -> None:
    assert HOME.spelled[1] == " Home & Garden"
    assert [HOME.read(HOME.spell(place)) for place in HOME.values] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [HOME.name(place) for place in HOME.values] == list(HOME.names)
    assert [HOME.place(name) for name in ("Café", "Cafe")] == [3.0, None]


def test_the_point_is_the_likeliest_label_the_first_of_equals_and_nan_for_no_answer() -> None:
    distribution = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [NAN] * 3])
    np.testing.assert_array_equal(ABC.point(distribution), [1.0, 0.0, NAN])


def test_the_point_has_the_lowest_expected_loss() -> None:
    distribution = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    losses = ABC.expected_losses(distribution, under_cost=3.0)
    np.testing.assert_array_equal(ABC.point(distribution), losses.argmin(axis=1))
    by_hand = np.array([ABC.loss(ABC.values, answer) for answer in ABC.values])  # (answer, true)
    np.testing.assert_allclose(losses, distribution @ by_hand.T)
    assert not ABC.expected_losses(np.full((1, 3), NAN), 1.0).any()


def test_a_wrong_label_costs_one_whichever_it_is_and_none_has_no_loss() -> None:
    true, answers = [0.0, 0.0, 2.0, 1.0, NAN], [0.0, 2.0, 0.0, NAN, 1.0]
    np.testing.assert_array_equal(ABC.loss(true, answers, 9.0), [0.0, 1.0, 1.0, NAN, NAN])
    assert ABC.loss_max == ABC.size(0.0) == ABC.size(2.0) == 1.0
    assert ABC.loss(np.array([0.0, 1.0])[:, None], ABC.values).tolist() == [[0, 1, 1], [1, 0, 1]]


def test_the_center_of_samples_is_the_commonest_the_first_of_equals() -> None:
    assert ABC.center([2.0, 1.0, NAN, 2.0]) == 2.0
    assert ABC.center([2.0, 1.0]) == 1.0
    assert np.isnan(ABC.center([NAN]))


def test_a_label_has_moved_where_it_is_another_or_only_there_or_only_gone() -> None:
    before, after = [0.0, 0.0, NAN, 1.0, NAN], [0.0, 2.0, 1.0, NAN, NAN]
    assert ABC.moved(before, after, share=9.0).tolist() == [False, True, True, True, False]


def test_places_are_the_answers_and_a_missing_one_is_an_error() -> None:
    places = ABC.places([2.0, 0.0])
    assert (places.tolist(), places.dtype) == ([2, 0], np.dtype(np.int64))
    with pytest.raises(ValueError, match="a label is missing"):
        ABC.places([1.0, NAN])
