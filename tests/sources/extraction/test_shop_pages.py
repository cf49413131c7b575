"""The extractor on hand-written pages after real layouts, some of which it was not tuned on."""

import pytest

from benchmarks.extract import PAGES, Page, everything, is_right, pages, score, structured

EVERY = pages()
ALMOST_ALL = 0.9


def test_every_page_has_its_truth_and_the_layouts_and_locales_are_many() -> None:
    files = {path.relative_to(PAGES).with_suffix("").as_posix() for path in PAGES.rglob("*.html")}
    assert files == {page.page for page in EVERY}
    assert len({page.layout for page in EVERY}) >= 25
    assert len({page.locale for page in EVERY}) >= 6
    assert len([page for page in EVERY if page.held_out]) >= 10


@pytest.mark.parametrize("held_out", [False, True], ids=["tuned on", "held out"])
def test_prices_are_read_off_unseen_shops_with_the_f1_that_was_asked_for(held_out: bool) -> None:
    over = [page for page in EVERY if page.held_out == held_out]
    ours = score(over, everything)
    assert ours.f1 >= 0.80, str(ours)
    assert ours.f1 > score(over, structured).f1


def test_a_wrong_price_is_a_miss_and_a_false_find() -> None:
    page = Page("a", "a", "en-US", "/p/1", "5.00", "USD", "A")
    wrong = everything(Written("<b class=price>US$6</b>"))
    measured = score([page], lambda _: wrong)
    assert (measured.right, measured.found, measured.there, measured.f1) == (0, 1, 1, 0.0)
    assert is_right(page, everything(Written("<b class=price>US$5</b>")))
    assert not is_right(page, everything(Written("<b class=price>£5</b>")))


class Written(Page):
    """A page with this body."""

    def __init__(self, body: str) -> None:
        super().__init__("b", "b", "en", "/p/1", "5", "USD", "B")
        object.__setattr__(self, "body", body)

    @property
    def html(self) -> str:
        return f"<html><body><h1>B</h1>{self.body}</body></html>"


def test_a_title_is_found_on_almost_every_page() -> None:
    result = [everything(page).title.casefold() for page in EVERY]
    near = [
        page.title.casefold() in title or title in page.title.casefold()
        for page, title in zip(EVERY, result, strict=True)
    ]
    assert sum(near) >= ALMOST_ALL * len(EVERY), [
        page.page for page, is_near in zip(EVERY, near, strict=True) if not is_near
    ]
