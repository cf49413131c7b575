"""Writes the text of a generated product: title, details and description in five styles.

Every term of the price law is stated somewhere in the three; a feature that a product lacks is left out or,
now and then, denied ("comes without a timer").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from components.model.listing_text import listing_text
from components.synthetic.price_law import CONDITION_PHRASES, PACKS, Category

WORDS_MIN = 37
NEEDS_AN = re.compile(r"\b([Aa]) (?=[aeio]|8|11\b|18\b)")
DENIALS = ("Comes without {}.", "Please note that it does not have {}.", "Sold without {}.")
COLOURS = ("black", "white", "grey", "navy", "olive", "sand", "red", "teal")
DISTRACTORS = (
    "Ships within two days.", "Wipe clean with a soft cloth.", "Questions? Our team is happy to help.",
    "Thank you for visiting our little shop.", "Comes in {colour}.", "Packed without plastic.",
    "Also looks good in {colour}.", "Store in a dry place.", "Returns accepted within thirty days.",
    "Designed with care by a small team.", "The colour shown is {colour}.",
    "A manual in nine languages is enclosed.",
    "Loved by our regulars since the first day.", "Photos may differ slightly from the item.",
)  # fmt: skip
SERIES = (
    "Nimbus", "Atlas", "Vela", "Orion", "Delta", "Pico", "Summit", "Breeze", "Core", "Strada", "Luna",
    "Fjord", "Classic", "Neo", "Terra", "Bravo", "Solo", "Prima", "Mistral", "Ember",
)  # fmt: skip
OPENERS = ("Say hello to your new {}!", "Looking for a {}? Look no further.", "Hi there, {} hunters!",
           "Our team's favourite {} is back.")  # fmt: skip
LEADS = ("You get {}.", "We added {}.", "Enjoy {}.", "There is {} too.", "And yes, it has {}.", "Think {}.")
TURNS = ("That is when {} helps.", "You notice {} first.", "Then comes {}.", "Somebody thought of {}.",
         "It was built around {}.", "Later you will be glad of {}.")  # fmt: skip
TITLE_ENDS = ("Bestseller", "Choice", "Favourite", "Top-Seller")
TEXT_ENDS = ("Back again.", "In stock.", "Order today.")


@dataclass(frozen=True)
class Facts:
    """Everything about a product that the price law depends on."""

    category: Category
    brand: str
    specs: tuple[float, ...]
    features: tuple[bool, ...]
    choice: str
    condition: str
    pack: int


@dataclass(frozen=True)
class Wording:
    """The text of a product on its page."""

    title: str
    details: dict[str, str]
    description: str

    def text(self, brand: str) -> str:
        """The text that a model reads."""
        return listing_text(self.title, brand, self.details, self.description)


def write(rng: Random, facts: Facts, model: str) -> Wording:
    """Title, details and description of a product; `model` is the code in the title, such as "K340"."""
    category = facts.category
    noun = rng.choice(category.nouns)
    head = [facts.brand] if rng.random() < 0.6 else []
    head += [rng.choice(SERIES), model, noun]
    details: dict[str, str] = {}
    phrases: list[str] = []
    _state_specs(rng, facts, head, details, phrases)
    lacking: list[str] = []
    for feature, has in zip(category.features, facts.features, strict=True):
        (phrases if has else lacking).append(rng.choice(feature.phrases))
    if len(phrases) >= 2 and rng.random() < 0.4:
        details[category.choice.name] = facts.choice
    else:
        phrases.append(rng.choice(category.choice.phrases).format(facts.choice))
    rng.shuffle(phrases)

    sentences: list[str] = []
    if lacking and rng.random() < 0.25:
        sentences.append(rng.choice(DENIALS).format(rng.choice(lacking)))
    _state_condition(rng, facts, head, details, sentences)
    _state_pack(rng, facts, head, details, sentences)
    colour = rng.choice(COLOURS)
    if rng.random() < 0.3:
        details["Colour"] = colour
    title = " ".join(head)
    body = rng.choice(STYLES)(rng, category, noun if noun.isupper() else noun.lower(), phrases)
    words = len(listing_text(title, facts.brand, details, " ".join([*body, *sentences])).split())
    sentences += _distractors(rng, words, colour)
    rng.shuffle(sentences)
    front = sentences[: len(sentences) // 3] if rng.random() < 0.3 else []
    description = " ".join([*front, *body, *sentences[len(front) :]])
    return Wording(title, details, NEEDS_AN.sub(r"\1n ", description))


def reword(rng: Random, wording: Wording) -> Wording:
    """A near duplicate: one more word in the title, two more at the end of the description."""
    title = f"{wording.title} {rng.choice(TITLE_ENDS)}"
    return Wording(title, wording.details, f"{wording.description} {rng.choice(TEXT_ENDS)}")


def _state_specs(
    rng: Random, facts: Facts, head: list[str], details: dict[str, str], phrases: list[str]
) -> None:
    for spec, value in zip(facts.category.specs, facts.specs, strict=True):
        amount = f"{value:g}{rng.choice(spec.units)}"
        place = rng.random()
        if place < 0.2 and len(head) < 5:
            head.append(amount)
        elif place < 0.5:
            details[spec.name] = amount
        if place >= 0.5 or rng.random() < 0.1:
            phrases.append(rng.choice(spec.phrases).format(amount))


def _state_condition(
    rng: Random, facts: Facts, head: list[str], details: dict[str, str], sentences: list[str]
) -> None:
    if facts.condition == "new":
        return
    place = rng.random()
    if place < 0.3:
        head.append(f"({facts.condition})")
    elif place < 0.6:
        details["Condition"] = facts.condition
    else:
        sentences.append(rng.choice(CONDITION_PHRASES[facts.condition]))


def _state_pack(
    rng: Random, facts: Facts, head: list[str], details: dict[str, str], sentences: list[str]
) -> None:
    if facts.pack == 1:
        return
    place = rng.random()
    if place < 0.4:
        head.append(
            rng.choice((f"{facts.pack}-pack", f"pack of {facts.pack}", f"set of {PACKS[facts.pack]}"))
        )
    elif place < 0.7:
        details["Quantity"] = f"{facts.pack} pieces"
    else:
        sentences.append(
            rng.choice(
                (f"You receive {PACKS[facts.pack]} of them.", f"This is a set of {PACKS[facts.pack]}.")
            )
        )


def _distractors(rng: Random, words: int, colour: str) -> list[str]:
    """Sentences without a bearing on the price, until the text of `words` words is long enough."""
    sentences: list[str] = []
    for distractor in rng.sample(DISTRACTORS, len(DISTRACTORS)):
        if words >= WORDS_MIN and rng.random() < words / 75:
            break
        sentences.append(distractor.format(colour=colour))
        words += len(distractor.split())
    return sentences


# --- styles: (category, noun, phrases) -> sentences ---------------------------------------------------


def _terse(rng: Random, _category: Category, noun: str, phrases: list[str]) -> list[str]:
    mark = rng.choice(("; ", ", ", " / "))
    return [f"{_capital(noun)}: {mark.join(phrases)}."]


def _chatty(rng: Random, _category: Category, noun: str, phrases: list[str]) -> list[str]:
    sentences = [rng.choice(LEADS).format(_join(pair)) for pair in _pairs(rng, phrases)]
    return [rng.choice(OPENERS).format(noun), *sentences]


def _bullets(rng: Random, _category: Category, _noun: str, phrases: list[str]) -> list[str]:
    mark = rng.choice(("•", "-", "*"))
    return [f"{mark} {_capital(phrase)}" for phrase in phrases] + [f"{mark} Made for daily use."]


def _story(rng: Random, category: Category, _noun: str, phrases: list[str]) -> list[str]:
    sentences = [rng.choice(TURNS).format(_join(pair)) for pair in _pairs(rng, phrases)]
    return [rng.choice(category.scenes), *sentences]


def _sentence(rng: Random, _category: Category, noun: str, phrases: list[str]) -> list[str]:
    verb = rng.choice(("combines", "brings together", "offers", "comes with"))
    return [f"This {noun} {verb} {_join(phrases)}."]


STYLES = (_terse, _chatty, _bullets, _story, _sentence)


def _pairs(rng: Random, phrases: list[str]) -> list[list[str]]:
    groups, rest = [], list(phrases)
    while rest:
        size = rng.randint(1, 2)
        groups.append(rest[:size])
        rest = rest[size:]
    return groups


def _join(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
