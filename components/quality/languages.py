"""The language of a text by its script and its function words: enough to see that a part is in another one.

Function words are the commonest words of a language, so that a dozen of them stand in nearly every sentence
(Ingle 1976). A text that has too few of any, such as a list of specifications, has no language here.
"""

from __future__ import annotations

import re

import pandas as pd

from components.curation.shingles import words

WORDS_READ = 200  # of a text
HITS_MIN = 3  # different function words from which a text has a language
SCRIPT_SHARE = 0.3  # of the letters, from which a script decides
SCRIPTS = {
    name: re.compile(f"[{letters}]")
    for name, letters in {
        "Japanese": "\u3040-\u30ff",
        "Korean": "\uac00-\ud7a3",
        "Chinese": "\u4e00-\u9fff",
        "Cyrillic": "\u0400-\u04ff",
        "Greek": "\u0370-\u03ff",
        "Arabic": "\u0600-\u06ff",
        "Hebrew": "\u0590-\u05ff",
        "Thai": "\u0e00-\u0e7f",
        "Devanagari": "\u0900-\u097f",
    }.items()
}
FUNCTION_WORDS = {
    language: frozenset(text.split())
    for language, text in {
        "English": "the and of to with for is are this that it your you from on by has its as a an in or be",
        "German": "der die das und mit für ist ein eine einer von den dem auf im zu sich auch nicht wird",
        "French": "le la les et de des du un une pour avec est dans sur qui vous votre au aux par cette",
        "Spanish": "el la los las y de del un una para con es en que por su sus al se como este",
        "Italian": "il lo la gli e di del della un una per con è che in sono da al alla nel questo",
        "Portuguese": "o os a as e de do da um uma para com é que em no na dos das por seu",
        "Dutch": "de het een en van voor met is op te zijn dat die aan door uw ook niet naar deze",
        "Swedish": "och att det en ett som är för med av på till den har inte kan från eller din du",
        "Danish": "og at det en et som er for med af på til den har ikke kan fra eller din du",
        "Polish": "i w z na do się jest to nie dla oraz od po przez jak który która są lub",
        "Czech": "a v na se je s z do pro že to jako od nebo jsou který která při také",
        "Finnish": "ja on se että ei joka sekä tai ovat myös kuin kun jotka voi sen tämä mutta",
        "Turkish": "ve bir bu için ile olarak da de çok olan daha en gibi sizin her kadar",
        "Hungarian": "a az és egy hogy nem is van ez meg ki el vagy mint csak ha amely",
        "Romanian": "și de la cu pe pentru este un o din care în sau mai cel prin sunt",
    }.items()
}


def language_of(text: str) -> str:
    """The language, or the script where that tells it apart; empty where the text does not show one.

    A word counts once, and no language wins a tie: several share short words such as `a` and `no`.
    """
    letters = sum(sign.isalpha() for sign in text)
    for script, pattern in SCRIPTS.items():
        if len(pattern.findall(text)) > SCRIPT_SHARE * letters:
            return script
    read = frozenset(words(text)[:WORDS_READ])
    hits = {name: len(read & known) for name, known in FUNCTION_WORDS.items()}
    best, second = sorted(hits, key=lambda name: hits[name], reverse=True)[:2]
    return best if hits[best] >= HITS_MIN and hits[best] > hits[second] else ""


def foreign_shares(items: pd.DataFrame) -> pd.DataFrame:
    """For each split the share of its texts in another `language` than the commonest one of all splits.

    Takes `split` and `text`; columns `split`, `language` (the commonest) and `foreign`, a share of the texts
    that show a language.
    """
    spoken = items["text"].fillna("").map(language_of)
    spoken, split = spoken[spoken != ""], items["split"].astype(str)
    commonest = spoken.value_counts().idxmax() if len(spoken) else ""
    shares = (spoken != commonest).groupby(split).mean().round(4)
    return shares.rename("foreign").rename_axis("split").reset_index().assign(language=commonest)
