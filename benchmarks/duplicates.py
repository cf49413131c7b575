"""Near-duplicate search against datasketch over the same texts, with pairs planted at a Jaccard of 0.8.

python -m benchmarks.duplicates [texts]     200,000 if not given; needs `pip install -e ".[bench]"`

Both get the same words, shingles of the same length, the same number of keys and of orders in each, and
both end with pairs of an exact similarity of at least 0.8.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from random import Random

from datasketch import MinHash, MinHashLSH

from benchmarks.listings import description
from components.curation.minhash import neighbours, shape
from components.curation.shingles import SHINGLE, text_shingles, words

SIMILARITY = 0.8
PLANTED = 0.03  # share of the texts that get a near duplicate


def texts_of(number: int) -> tuple[list[str], set[tuple[int, int]]]:
    """Texts, and the places of the planted pairs: of 38 + c shingles c are new to the second one."""
    rng = Random(1)
    texts = [description(rng, place) for place in range(round(number / (1 + PLANTED)))]
    planted = set()
    for place in rng.sample(range(len(texts)), number - len(texts)):
        added = " ".join(f"x{rng.getrandbits(30)}" for _ in range(9))  # 38 of 47 are shared: 0.81
        planted.add((place, len(texts)))
        texts.append(f"{texts[place]} {added}")
    return texts, planted


def ours(texts: list[str]) -> set[tuple[int, int]]:
    """Pairs as curate finds them, twins included."""
    alike = neighbours(text_shingles(texts), SIMILARITY)
    twins = {(first, place) for place, first in enumerate(alike.first.tolist()) if first != place}
    return twins | {(one, other) for one, other in alike.pairs.tolist()}


def theirs(texts: list[str]) -> set[tuple[int, int]]:
    """Pairs by datasketch's MinHash and MinHashLSH, verified on sets of shingles."""
    bands, orders = shape(SIMILARITY)
    index = MinHashLSH(num_perm=bands * orders, params=(bands, orders))
    sets = [set(_shingles(text)) for text in texts]
    hashed = MinHash.generator(sets, num_perm=bands * orders)
    found = set()
    for place, sketch in enumerate(hashed):
        found |= {(other, place) for other in index.query(sketch)}
        index.insert(place, sketch)
    return {
        (one, other)
        for one, other in found
        if len(sets[one] & sets[other]) >= SIMILARITY * len(sets[one] | sets[other])
    }


def _shingles(text: str) -> Iterator[bytes]:
    said = words(text)
    return (" ".join(said[at : at + SHINGLE]).encode() for at in range(max(1, len(said) - SHINGLE + 1)))


def main() -> None:
    """Print time and recall of both, and the ratio."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    texts, planted = texts_of(number)
    took = {}
    for name, search in (("ours", ours), ("datasketch", theirs)):
        start = time.perf_counter()
        found = search(texts)
        took[name] = time.perf_counter() - start
        recall = len(found & planted) / len(planted)
        print(
            f"{name}: {took[name]:.1f} s, recall {recall:.4f} of {len(planted):,} pairs, {len(found):,} found"
        )
    print(f"{took['datasketch'] / took['ours']:.1f} times as fast as datasketch on {number:,} texts")


if __name__ == "__main__":
    main()
