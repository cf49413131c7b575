"""Section `validate` of params.yaml: thresholds of the Great Expectations suites."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section


class Validate(Section):
    """Thresholds of the Great Expectations suites over raw listings, splits, and all together."""

    sampled_rows_max: Count
    """Rows of the splits on which what concerns many rows at once is measured; where there are more, whole
    products are drawn. Each row is checked by itself in any case."""
    rows_min: Count
    """Fewest rows that a split may have."""
    text_characters_min: Count
    text_characters_max: Count
    priced_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of raw listings with a price (a warning)."""
    titled_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of raw listings with a title (a warning)."""
    readable_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of raw titles (a warning) and of texts of all splits that were decoded rightly."""
    branded_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of the rows of a split with a brand (a warning)."""
    price_explained_min: Annotated[float, Field(ge=-1, lt=1)]
    """Smallest share of the variance of log prices that a ridge on the texts explains."""
    price_off_share_max: Annotated[float, Field(gt=0, le=1)]
    """Largest share of prices far above or below what their texts say, and of one sum in place of prices."""
    same_price_share_max: Annotated[float, Field(gt=0, le=1)]
    """Largest share of one and the same price in a split."""
    category_kappa_min: Annotated[float, Field(ge=-1, lt=1)]
    """Smallest Cohen's kappa of the categories with those that the texts say (a warning), and of labels."""
    conflicting_share_max: Annotated[float, Field(ge=0, lt=1)]
    """Largest share of rows whose text, or product, stands under another label too."""
    foreign_share_max: Annotated[float, Field(gt=0, le=1)]
    """Largest share of a split's texts in another language than most (a warning)."""
    share_difference_max: Annotated[float, Field(gt=0, le=1)]
    """Largest difference, beyond chance, of a split's share of the products from `curate.shares`."""
    product_share_max: Annotated[float, Field(gt=0, le=1)]
    """Largest share of all rows in one product (a warning)."""
    category_share_max: Annotated[float, Field(gt=0, le=1)]
    """Largest share of one category, and of one label, in a split (a warning)."""
    median_ratio_max: Annotated[float, Field(gt=1)]
    """Largest ratio of the median prices of two splits (a warning)."""
    drift_distance_max: Annotated[float, Field(gt=0, le=1)]
    """Largest Kolmogorov-Smirnov distance of price and length from the reference (a warning)."""
    drift_stability_max: Annotated[float, Field(gt=0)]
    """Largest population stability index of categories and labels against the reference (a warning)."""
