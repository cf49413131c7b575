"""What the watch finds, and what it takes for a shift by chance.

    python -m benchmarks.watch [--years 200] [--shifts 20] [--listings ../shared/data/listings]

On listings of the demo shop's generator, 30 different ones a day, the truth of each known: false alarms in
years without change; requests until each of six planted shifts is found, planted after a quarter of a year;
how often a confidence sequence errs that is looked at each day, beside an interval for one look. With
--listings the same on the listings of two real shops. Needs artifacts/base/.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from components.core.params.file import Params, load_params
from components.monitoring import errors_in_time, inputs, outputs
from components.monitoring.confidence_sequence import capital
from components.monitoring.looks import Values, alarms
from components.monitoring.states import states_of
from components.monitoring.watching import PARTS
from components.synthetic.catalogue import catalogue, corpus, listing_text
from components.tasks import task_of

SEED = 211
TRAINED, POOL, ANOTHER = 3000, 16_000, 2000
DAY, YEAR, PLANTED = 30, 365, 91
GERMAN = (
    "Der Artikel ist in gutem Zustand und wird mit dem Zubehör aus der Verpackung geliefert.",
    "Die Farbe ist für den Alltag gedacht, und das Material ist von hoher Güte.",
    "Das Gerät ist leicht zu bedienen und passt auch in eine kleine Wohnung.",
    "Ein Netzteil ist nicht dabei, die Anleitung ist auf Deutsch.",
    "Der Versand ist im Preis enthalten und dauert zwei Tage.",
    "Die Maße sind auf der Seite des Herstellers zu finden.",
)
DELIVERY = (
    " Delivered in a box that can be sent back within thirty days. Ask the seller for the colours that are "
    "in stock. Gift wrapping is possible on request, and a second one comes at a lower rate."
)


@dataclass(frozen=True)
class Rows:
    """What the watch measures of listings: the columns are those of its features."""

    category: Values
    states: Values
    answers: pd.DataFrame
    """`text`, `value`, `predicted`, `low`, `high`."""

    def at(self, places: Values) -> Rows:
        """The rows at these places."""
        answers = self.answers.iloc[places].reset_index(drop=True)
        return Rows(self.category[places], self.states[places], answers)

    def then(self, later: Rows) -> Rows:
        """These rows, and later ones after them."""
        return Rows(
            np.concatenate([self.category, later.category]),
            np.concatenate([self.states, later.states]),
            pd.concat([self.answers, later.answers], ignore_index=True),
        )


Change = Callable[[Rows, Values], Rows]
"""From the pool and places in it to the rows that come in their place."""


class Model:
    """Measures listings as the watch does: ridges answer, the embedded base has hidden states."""

    def __init__(self, texts: list[str], values: Values, categories: Values, params: Params) -> None:
        self.texts, self.categories, self.params = texts, categories, params
        fit = len(texts) * 2 // 3
        self.ridge = make_pipeline(TfidfVectorizer(sublinear_tf=True), Ridge())
        self.ridge.fit(texts[:fit], np.log(values[:fit]))
        off = np.log(values[fit:]) - self.ridge.predict(texts[fit:])
        tail = (1 - params.evaluate.interval) / 2
        self.reach = np.quantile(off, [tail, 1 - tail])

    def rows(self, texts: list[str], values: Values) -> Rows:
        """The rows of these texts and true values."""
        center = self.ridge.predict(texts)
        low, high = (np.exp(center + reach) for reach in self.reach)
        answers = pd.DataFrame(
            {"text": texts, "value": values, "predicted": np.exp(center), "low": low, "high": high}
        )
        read = inputs.categories_of(self.texts, list(self.categories), texts)
        assert read is not None
        [states] = states_of(
            [texts], task_of(self.params.task), depths=self.params.baseline.hidden_depths, batch_size=64
        )
        return Rows(read[1], states, answers)


def found(reference: Rows, traffic: Rows, params: Params) -> list[tuple[str, int]]:
    """The alarms of the watch on the traffic: (feature, last row of the window)."""
    section, tables, task = params.watch, (reference.answers, traffic.answers), task_of(params.task)
    asked = [
        *inputs.text_features(*(table["text"].tolist() for table in tables)),
        inputs.category_feature(reference.category, traffic.category),
        inputs.state_feature(reference.states, traffic.states, section.components),
        *outputs.answer_features(*tables, task),
    ]
    came = errors_in_time.truth_features(*tables, params.evaluate.interval, section.coverage_tolerance, task)
    return [
        (alarm.feature, alarm.window.stop)
        for features in (asked, came)
        for alarm in alarms(features, len(traffic.answers), section.batch_rows, section.alarm_rate / PARTS)
    ]


# --- listings ----------------------------------------------------------------------------------------


def shop(seed: int, rows: int, noise: float) -> tuple[list[str], Values, Values]:
    """(texts, values, categories) of so many different listings of the demo shop."""
    known: dict[str, tuple[float, str]] = {}
    for product in catalogue(seed, rows * 5 // 4, noise):
        if product.price is not None and product.relisting_of is None:
            text = listing_text(product.title, product.brand, product.details, product.description)
            known[text] = (float(product.price), product.category)
    texts = list(known)[:rows]
    assert len(texts) == rows
    return texts, np.array([known[text][0] for text in texts]), np.array([known[text][1] for text in texts])


def german(rows: int) -> list[str]:
    """Texts of some German sentences each."""
    rng = Random(SEED)
    return [f"Modell {rng.randrange(10_000)}. {' '.join(rng.sample(GERMAN, 4))}" for _ in range(rows)]


def real(path: Path) -> tuple[list[str], Values, Values]:
    """(texts, values, categories) of a real shop's listings."""
    table = pd.read_json(path, lines=True)
    title = table["title"] if "title" in table else table["name"]
    category = table["category"] if "category" in table else table["categories"].str[0]
    texts = (title.fillna("") + "\n" + table["description"].fillna("")).astype(str)
    kept = (pd.to_numeric(table["price"], errors="coerce") > 0) & ~texts.duplicated()
    values = table["price"][kept].to_numpy(float)
    return texts[kept].tolist(), values, category[kept].fillna("").astype(str).to_numpy()


# --- what is printed ---------------------------------------------------------------------------------


def quiet(pool: Rows, params: Params, years: int, rows: int, known: int) -> None:
    """Runs of so many requests without change: how many of them have an alarm."""
    rng, hits = np.random.default_rng(SEED), []
    for _ in range(years):
        places = rng.permutation(len(pool.category))
        raised = found(pool.at(places[:known]), pool.at(places[known : known + rows]), params)
        hits.append({feature for feature, _ in raised})
    count = sum(map(bool, hits))
    print(
        f"  {count} of {years} runs of {rows:,} requests have an alarm: {rate(count, years)}, "
        f"{params.watch.alarm_rate:.0%} allowed; by {sorted(set().union(*hits)) or 'nothing'}",
        flush=True,
    )


def rate(count: int, of: int) -> str:
    """A share with its 95% interval (Wilson)."""
    low, high = stats.binomtest(count, of).proportion_ci(method="wilson")
    return f"{count / of:.1%} ({low:.1%} to {high:.1%})"


def planted(
    pool: Rows, changed: Change, params: Params, times: int, sizes: tuple[int, int, int]
) -> Iterator[tuple[int | None, str]]:
    """For each of some times, the requests from the shift to its alarm, None for none, and the feature;
    `sizes` are the rows of the reference, before the shift and after it.
    """
    rng, (known, before, after) = np.random.default_rng(SEED + 1), sizes
    for _ in range(times):
        places = rng.permutation(len(pool.category))
        later = places[known + before : known + before + after]
        traffic = pool.at(places[known : known + before]).then(changed(pool, later))
        raised = [(last, feature) for feature, last in found(pool.at(places[:known]), traffic, params)]
        late = sorted(entry for entry in raised if entry[0] > before)
        yield (late[0][0] - before, late[0][1]) if late else (None, "")


def show(name: str, outcomes: list[tuple[int | None, str]]) -> None:
    """A line about a planted shift."""
    counts = sorted(np.inf if count is None else count for count, _ in outcomes)
    missed = sum(count is None for count, _ in outcomes)
    by = pd.Series([feature for _, feature in outcomes if feature]).value_counts()
    median, most = np.quantile(counts, [0.5, 0.9], method="higher")
    first = by.index[0] if len(by) else "nothing"
    print(f"  {name:<42} median {median:>5.0f}, 90% within {most:>5.0f}, missed {missed}; first by {first}")


def sequences(pool: Rows, weaker: Values, params: Params, years: int) -> None:
    """How often a confidence sequence errs over a year of looks, and how soon it knows."""
    value = pool.answers["value"].to_numpy()
    loss = task_of(params.task).answers.loss
    gains = loss(value, weaker) - loss(value, pool.answers["predicted"].to_numpy())
    allowed, bound = params.promote.error_rate, params.watch.loss_max
    effect, sure = params.promote.minimum_effect, -np.log(allowed)
    gains = np.clip(gains, -bound / 2, bound / 2)  # so that it stays in bounds where its mean is moved
    rng, looks = np.random.default_rng(SEED + 2), np.arange(1, YEAR + 1) * DAY
    erred, interval_erred, until = 0, 0, []
    for _ in range(years):
        year = rng.choice(gains, YEAR * DAY)
        none = year - gains.mean() + effect
        erred += int(capital(none, -bound, bound, effect, error_rate=allowed).max() >= sure)
        means, squares = none.cumsum()[looks - 1] / looks, (none**2).cumsum()[looks - 1] / looks
        ends = means - stats.norm.isf(allowed) * np.sqrt((squares - means**2) / looks)
        interval_erred += int((ends > effect).any())
        better = capital(year, -bound, bound, effect, error_rate=allowed) >= sure
        until.append(float(better.argmax()) + 1 if better.any() else np.inf)
    for name, count in (("confidence sequence", erred), ("interval for one look", interval_erred)):
        print(
            f"  {name}, looked at daily: errs in {rate(count, years)} of {years} years, {allowed:.1%} allowed"
        )
    median, most = np.quantile(until, [0.5, 0.9], method="higher")
    print(
        f"  a challenger better by {gains.mean():.2f} (standard deviation {gains.std():.1f}) is known to be "
        f"better by more than {effect:g} after {median:.0f} truths, in 90% within {most:.0f}",
        flush=True,
    )


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--shifts", type=int, default=20)
    parser.add_argument("--listings", type=Path)
    arguments = parser.parse_args()
    params = load_params()
    known = params.watch.reference_rows
    texts, values, categories = shop(SEED, TRAINED + POOL, params.scrape.demo_shop.noise)
    model = Model(texts[:TRAINED], values[:TRAINED], categories[:TRAINED], params)
    pool = model.rows(texts[TRAINED:], values[TRAINED:])
    print("Years without change, on the demo shop:")
    quiet(pool, params, arguments.years, YEAR * DAY, known)
    print("Requests from a planted shift to its alarm:")
    for name, changed in shifts(model, pool, values[TRAINED:]).items():
        sizes = (known, PLANTED * DAY, 100 * DAY)
        show(name, list(planted(pool, changed, params, arguments.shifts, sizes)))
    print("Challenger against champion on live truth:")
    weaker = make_pipeline(TfidfVectorizer(sublinear_tf=True), Ridge())
    weaker.fit(texts[: TRAINED // 5], np.log(values[: TRAINED // 5]))
    sequences(pool, np.exp(weaker.predict(texts[TRAINED:])), params, arguments.years)
    if arguments.listings:
        elsewhere(arguments.listings, params, arguments.years, arguments.shifts)


def shifts(model: Model, pool: Rows, values: Values) -> dict[str, Change]:
    """The planted shifts by their names."""
    some = slice(0, ANOTHER)
    texts = pool.answers["text"].tolist()[some]
    longer = model.rows([text + DELIVERY for text in texts], values[some])
    foreign = model.rows(german(ANOTHER), values[some])
    another = corpus(SEED, ANOTHER)
    market = model.rows([text for text, _ in another], np.array([price for _, price in another], float))
    favoured = np.isin(pool.category, np.unique(pool.category)[:2])

    def mix(pool: Rows, places: Values) -> Rows:
        rng = np.random.default_rng(int(places[0]))
        weights = np.where(favoured[places], 3.0, 1.0)
        return pool.at(rng.choice(places, len(places), p=weights / weights.sum()))

    def dearer(pool: Rows, places: Values) -> Rows:
        rows = pool.at(places)
        return replace(rows, answers=rows.answers.assign(value=1.2 * rows.answers["value"]))

    return {
        "longer texts, all of them": partial(replaced, longer, 1.0),
        "another language, a fifth of the texts": partial(replaced, foreign, 0.2),
        "two of ten categories three times as often": mix,
        "values up by a fifth (truths)": dearer,
        "texts of another market, all of them": partial(replaced, market, 1.0),
    }


def replaced(by: Rows, share: float, pool: Rows, places: Values) -> Rows:
    """The rows of the pool, of which about this share is replaced by those of another table."""
    rng, count = np.random.default_rng(int(places[0])), len(places)
    rows, drawn = pool.at(places), by.at(rng.integers(0, len(by.category), count))
    return rows.then(drawn).at(np.arange(count) + count * (rng.random(count) < share))


def elsewhere(folder: Path, params: Params, years: int, times: int) -> None:
    """The same on listings that nobody here wrote: half of what no model was fitted on is the reference."""
    tables = {name: real(folder / f"{name}.jsonl") for name in ("amazon_items", "electronics_store")}
    for name, (texts, values, categories) in tables.items():
        own = np.random.default_rng(SEED).permutation(len(texts))
        fit, rest = own[: len(own) // 3], own[len(own) // 3 :]
        model = Model([texts[place] for place in fit], values[fit], categories[fit], params)
        pool, half = model.rows([texts[place] for place in rest], values[rest]), len(rest) // 2
        print(f"On {name}:")
        quiet(pool, params, years, half, half)
        [(strange, worth, _)] = [table for other, table in tables.items() if other != name]
        stranger = model.rows(strange[:ANOTHER], worth[:ANOTHER])
        for share in (1.0, 0.2):
            changed = partial(replaced, stranger, share)
            sizes = (half, half // 2, half - half // 2)
            outcomes = list(planted(pool, changed, params, times, sizes))
            show(f"texts of the other shop, {share:.0%}", outcomes)


if __name__ == "__main__":
    main()
