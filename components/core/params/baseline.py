"""Section `baseline` of params.yaml: what a model has to beat."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Section, Seed


class Baseline(Section):
    """What a model has to beat."""

    seed: Seed
    vocabulary: Count
    """Commonest terms that get a column, of the bag of words and of TF-IDF."""
    brands: Count
    """Commonest brands and categories that get a column of their own; the others share one."""
    quantities: Count
    """Commonest quantities that get a column, such as a weight or what "Capacity:" stands before."""
    ridge_alphas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Penalties that ridge regression chooses from, by cross-validation on train."""
    count_weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Of the counts of words beside TF-IDF in the ridge on hidden states, which chooses likewise: large ones
    where the parts of a target add up, 1.0 where it is the subject that matters."""
    ridge_folds: Annotated[int, Field(ge=2)]
    read_rows_max: Count
    """Rows of train that the untuned base reads, drawn at random: on these the regressions that know it are
    fitted."""
    hidden_depths: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]
    """Layers whose hidden states the regression reads, as shares of the base's depth."""
    landmarks: Count
    """Training listings whose hidden states the others are held against."""
    boosting_iterations: Count
    boosting_components: Count
    """Dimensions to which TF-IDF is reduced for the boosted trees."""
    boosting_states: Count
    """Dimensions to which hidden states are reduced for the boosted trees."""
    logistic_strengths: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Inverse penalties of the logistic regressions, of which cross-validation takes one, for labels."""
    neighbours: Count
    """Nearest training listings whose targets are asked."""
    neighbour_temperature: Annotated[float, Field(gt=0)]
    """Of their weights, in units of nearness (a cosine): the smaller, the more the nearest counts."""
    shots: Count
    """Answered examples in the prompt of the few-shot base model; fewer where its context is too short."""
    batch_size: Count
