"""Near-duplicate search against datasketch over the same texts, with pairs planted at a Jaccard of 0.8.

python -m benchmarks.duplicates [texts]     200,000 if not given; needs `pip install -e ".[bench]"`

Both get the same words, shingles of the same length and the same numbers of bands and permutations, and both
end with the pairs whose exact similarity is at least 0.8.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from random import Random

from datasketch import MinHash, MinHashLSH

from benchmarks.listings import description
from components.curation.minhash import bands_and_permutations, neighbours
from components.curation.shingles import SHINGLE, text_shingles, words

SIMILARITY = 0.8
PLANTED = 0.03  # share of the texts that get a near duplicate


def texts_of(number: int) -> tuple[list[str], set[tuple[int, int]]]:
    """Texts, and the positions of the planted pairs."""
    rng = Random(1)
    texts = [description(rng, position) for position in range(round(number / (1 + PLANTED)))]
    planted = set()
    for position in rng.sample(range(len(texts)), number - len(texts)):
        added = " ".join(f"x{rng.getrandbits(30)}" for _ in range(9))  # 38 of 47 are shared: 0.81
        planted.add((position, len(texts)))
        texts.append(f"{texts[position]} {added}")
    return texts, planted


def ours(texts: list[str]) -> set[tuple[int, int]]:
    """Pairs as curate finds them, twins included."""
    near = neighbours(text_shingles(texts), SIMILARITY)
    twins = {(first, position) for position, first in enumerate(near.first.tolist()) if first != position}
    return twins | {(left, right) for left, right in near.pairs.tolist()}


def theirs(texts: list[str]) -> set[tuple[int, int]]:
    """Pairs by datasketch's MinHash and MinHashLSH, verified on sets of shingles."""
    bands, permutations = bands_and_permutations(SIMILARITY)
    index = MinHashLSH(num_perm=bands * permutations, params=(bands, permutations))
    sets = [set(_shingles(text)) for text in texts]
    hashed = MinHash.generator(sets, num_perm=bands * permutations)
    candidates = set()
    for position, sketch in enumerate(hashed):
        candidates |= {(earlier, position) for earlier in index.query(sketch)}
        index.insert(position, sketch)
    return {
        (left, right)
        for left, right in candidates
        if len(sets[left] & sets[right]) >= SIMILARITY * len(sets[left] | sets[right])
    }


def _shingles(text: str) -> Iterator[bytes]:
    split = words(text)
    return (" ".join(split[at : at + SHINGLE]).encode() for at in range(max(1, len(split) - SHINGLE + 1)))


def main() -> None:
    """Print time and recall of both, and the ratio."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    texts, planted = texts_of(number)
    seconds = {}
    for name, search in (("ours", ours), ("datasketch", theirs)):
        start = time.perf_counter()
        pairs = search(texts)
        seconds[name] = time.perf_counter() - start
        recall = len(pairs & planted) / len(planted)
        print(
            f"{name}: {seconds[name]:.1f} s, recall {recall:.4f} of {len(planted):,} pairs, "
            f"{len(pairs):,} in all"
        )
    print(f"{seconds['datasketch'] / seconds['ours']:.1f} times as fast as datasketch on {number:,} texts")


if __name__ == "__main__":
    main()
