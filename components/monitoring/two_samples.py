"""Two-sample tests with an effect size beside the p-value: of numbers, of classes, of vectors.

All of them have p-values that hold far out in the tail, where a test that is made again and again needs
them: a permutation test of 1,000 draws knows nothing below 0.001.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy import stats

from components.monitoring.looks import Shift, Values

KOLMOGOROV_SMIRNOV = ("Kolmogorov-Smirnov", "largest distance of the distributions, 0 to 1")
FISHER = ("Fisher's exact test", "share that is in other classes, 0 to 1")
BY_COMPONENT = ("Kolmogorov-Smirnov by principal component", "largest distance of a component, 0 to 1")


def numbers(reference: Values, observed: Values) -> Shift:
    """Two-sample Kolmogorov-Smirnov test of numbers, (m,) and (n,); NaN does not count.

    The p-value is that of one sample of mn / (m + n) numbers, and too high rather than too low where numbers
    repeat.
    """
    reference, observed = reference[~np.isnan(reference)], observed[~np.isnan(observed)]
    if not len(reference) or not len(observed):
        return Shift(1.0, 0.0)
    outcome = stats.ks_2samp(reference, observed, method="asymp")
    middle = f"median {np.median(observed):.4g}, {np.median(reference):.4g} before"
    return Shift(float(outcome.pvalue), float(outcome.statistic), middle)


def classes(reference: Values, observed: Values) -> Shift:
    """Fisher's exact test of each class against all others, (m,) and (n,), by Bonferroni over the classes.

    Exact, so that a class of few rows is no matter; a chi-square test is not to be trusted below 5 expected
    rows. The p-value of a class is twice that of its rarer side. The effect is the total variation distance,
    half the sum of the absolute differences of the shares.
    """
    before, now = Counter(reference.tolist()), Counter(observed.tolist())
    names = sorted(before | now)
    if not names or not len(observed) or not len(reference):
        return Shift(1.0, 0.0)
    was, has = (np.array([count[name] for name in names]) for count in (before, now))
    both, rows, drawn = was + has, len(reference) + len(observed), len(observed)
    rarer = np.minimum(
        stats.hypergeom.sf(has - 1, rows, both, drawn), stats.hypergeom.cdf(has, rows, both, drawn)
    )
    p = np.minimum(2 * rarer, 1.0)
    most, shares = int(np.argmin(p)), (was / len(reference), has / len(observed))
    detail = f"{names[most]}: {shares[1][most]:.0%}, {shares[0][most]:.0%} before"
    distance = float(np.abs(shares[1] - shares[0]).sum() / 2)
    return Shift(float(min(len(names) * p[most], 1.0)), distance, detail)


def components(reference: Values, observed: Values) -> Shift:
    """Kolmogorov-Smirnov test of each of d components, (m, d) and (n, d), by Bonferroni over them.

    Found the strongest of many for what a network sees, with few rows, by Rabanser et al. 2019
    (arXiv:1810.11953), with classifier outputs in the place of principal components.
    """
    if not len(reference) or not len(observed) or not reference.shape[1]:
        return Shift(1.0, 0.0)
    distances = [_distance(before, now) for before, now in zip(reference.T, observed.T, strict=True)]
    most = int(np.argmax(distances))
    farthest = numbers(reference[:, most], observed[:, most])
    p = min(len(distances) * farthest.p, 1.0)
    return Shift(p, farthest.effect, f"component {most + 1}: {farthest.detail}")


def _distance(reference: Values, observed: Values) -> float:
    """The largest distance of two distribution functions."""
    both = np.concatenate([reference, observed])
    shares = [
        np.searchsorted(np.sort(part), both, side="right") / len(part) for part in (reference, observed)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def principal_components(states: Values, dimensions: int) -> tuple[Values, Values]:
    """(the mean of vectors (m, d), the directions (d, k) in which they vary most, each scaled by its standard
    deviation), k at most `dimensions`.
    """
    middle = states.mean(axis=0)
    _, deviations, directions = np.linalg.svd(states - middle, full_matrices=False)
    kept = deviations[:dimensions] > 1e-6 * max(float(deviations.max(initial=0.0)), 1e-12)
    scale = deviations[:dimensions][kept] / max(len(states) - 1, 1) ** 0.5
    return middle, (directions[:dimensions][kept] / scale[:, None]).T
