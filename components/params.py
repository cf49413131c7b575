"""The one reader of params.yaml: a frozen, strict class per section, no default anywhere.

`load()` gives the whole file as `Params`; a wrong key or value raises `ParamsError` that names it
and, for an unknown key, the nearest right one.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from components.records import PricewrightError

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]  # ISO 4217


class ParamsError(PricewrightError):
    """params.yaml is missing, is no YAML, or has a key or value that it may not have."""


class Section(BaseModel):
    """A part of params.yaml: unknown keys refused, types strict, values frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DemoShop(Section):
    """The generated shop that is served on loopback and crawled over HTTP."""

    seed: Seed
    listings: Annotated[int, Field(ge=40)]
    """Listings in the catalogue, re-listings and price-less ones included."""
    noise: Annotated[float, Field(ge=0, lt=2)]
    """Standard deviation of the log-normal noise on every price."""
    concurrency: Count
    """Requests at a time."""
    pages_max: Count
    """Pages after which a crawl is given up as endless."""
    port: Annotated[int, Field(ge=0, le=65535)]
    """Loopback port it is served on; 0 takes a free one."""


class Columns(Section):
    """Which column of a file holds which field; null where a file has none. `a.0.b` reaches inside."""

    title: str
    description: str | None
    price: str
    currency: str | None
    brand: str | None
    category: str | None
    """A column of text, or of a list of text whose most telling entry is taken (see sources/files.py)."""
    details: str | None
    """A column that holds an object, or JSON text of one."""
    rights: str | None
    """A column that names the licence of a listing."""


class Files(Section):
    """Listings from JSONL, CSV or Parquet files."""

    paths: list[str]
    """Files or glob patterns, relative to the project's root."""
    columns: Columns


class Shop(Section):
    """Any shop on the web, or several, crawled politely."""

    start: list[str]
    """Addresses at which a crawl begins that follows every link within their hosts, and their sitemaps."""
    sitemaps: list[str]
    """Addresses of sitemaps whose pages are fetched."""
    pages: list[str]
    """Addresses of product pages; alone, nothing else is fetched."""
    hosts: list[str]
    """Further hosts that may be asked, such as `www.shop.example`, beside those of the addresses above."""
    products: str
    """Pattern (Python `re`) found in the address of every product page and of no other."""
    languages: list[str]
    """Languages (`de`, `en`) that a page may say it is in; empty takes all."""
    contact: str | None
    """Mail or web address in the name of the crawler; without one nothing is crawled."""
    concurrency: Count
    """Requests at a time to one host."""
    delay: Annotated[float, Field(gt=0)]
    """Seconds between two requests to a host, at least; a slow host or its Crawl-delay makes it more."""
    retries: Annotated[int, Field(ge=0)]
    """Further tries of a page that answers 429 or 5xx, or not at all."""
    pages_max: Count
    """Answers after which a crawl stops."""
    bytes_max: Count
    """Bytes after which a crawl stops."""
    page_bytes_max: Count
    """Bytes, unpacked, above which a page is given up."""
    page_seconds_max: Annotated[float, Field(gt=0)]
    """Seconds after which a page is given up."""
    store: str
    """File of the pages as they came; a second crawl asks only for what has changed since."""


class AmazonReviews(Section):
    """Items of Amazon Reviews 2023."""

    repository: str
    """Data set on the hub, or a local directory of the same layout (`raw_meta_<category>/full-*.parquet`)."""
    revision: str | None
    """Commit of the data set, 40 hex digits; not needed for a local directory."""
    categories: Annotated[list[str], Field(min_length=1)]
    """Such as `Appliances` or `Musical_Instruments`."""
    rows_max: Count
    """Items of each category."""


class Scrape(Section):
    """Where listings come from."""

    source: Literal["demo_shop", "files", "shop", "amazon_reviews"]
    demo_shop: DemoShop
    files: Files
    shop: Shop
    amazon_reviews: AmazonReviews


class Shares(Section):
    """Share of the products in each split; they add up to 1."""

    train: Share
    preference: Share
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _add_up(self) -> Shares:
        total = self.train + self.preference + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the four shares add up to {total:g}, not to 1")
        return self


class Balance(Section):
    """A weighted draw over price bands, so that a model is not fitted on cheap things alone."""

    band: Annotated[float, Field(gt=0)]
    """Width of a price band in dollars."""
    strength: Annotated[float, Field(ge=0, le=1)]
    """0 takes every listing, 1 thins every band that holds more than the mean of all bands down to it."""


class Curate(Section):
    """Cleaning, rejection, deduplication and the split."""

    seed: Seed
    currency: Currency
    """Code that prices are in; a listing that names none is taken to be in it."""
    rates: dict[Currency, Annotated[float, Field(gt=0)]]
    """What one unit of another currency is in `currency`; a listing in one that is not here is rejected."""
    price_min: Annotated[float, Field(gt=0)]
    """Dollars; lower prices are rejected."""
    price_max: Annotated[float, Field(gt=0)]
    """Dollars; higher prices are rejected. The model's prices run from 0 to this, whole dollars."""
    text_min_characters: Count
    """Of title and description together; shorter listings are rejected."""
    text_max_characters: Count
    """Longer texts are cut at a word's end."""
    boilerplate: list[Annotated[str, Field(min_length=1)]]
    """Phrases that are taken out of titles, descriptions and specifications, whatever their case."""
    details_dropped: list[str]
    """Names of specifications that say nothing of what a thing is worth, whatever their case."""
    part_number_characters: Count | None
    """Letters and digits from which a code of capitals and digits is a part number; null keeps them all."""
    near_duplicate_similarity: Share
    """Jaccard similarity of word shingles from which two listings are one product."""
    shares: Shares
    balance: Balance
    """Over the rows of train and preference; validation and test stay as the shop is."""

    @model_validator(mode="after")
    def _ordered(self) -> Curate:
        if self.price_min >= self.price_max:
            raise ValueError(f"price_min {self.price_min:g} is not below price_max {self.price_max:g}")
        if self.currency in self.rates:
            raise ValueError(f"rates has {self.currency} itself, in which prices are already")
        return self


class Validate(Section):
    """Thresholds of the Great Expectations suites over raw listings, splits, and all together."""

    rows_min: Count
    """Fewest rows that a split may have."""
    text_characters_min: Count
    text_characters_max: Count
    priced_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of raw listings with a price (a warning)."""
    titled_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of raw listings with a title (a warning)."""
    readable_share_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of raw listings whose title was decoded rightly (a warning)."""
    category_share_max: Annotated[float, Field(gt=0, le=1)]
    """Largest share of one category in a split (a warning)."""
    median_ratio_max: Annotated[float, Field(gt=1)]
    """Largest ratio of the median prices of two splits (a warning)."""
    drift_distance_max: Annotated[float, Field(gt=0, le=1)]
    """Largest Kolmogorov-Smirnov distance of price and length from the reference (a warning)."""
    drift_stability_max: Annotated[float, Field(gt=0)]
    """Largest population stability index of the categories against the reference (a warning)."""


class Pretraining(Section):
    """How the embedded base model is made from generated text."""

    seed: Seed
    texts: Count
    """Generated listings, none of which is in the demo shop."""
    vocabulary: Annotated[int, Field(ge=1400)]
    """Tokens of the byte-level BPE, the 1,000 price tokens included."""
    hidden_size: Annotated[int, Field(ge=1, multiple_of=64)]
    layers: Count
    heads: Count
    intermediate_size: Annotated[int, Field(ge=1, multiple_of=64)]
    """Like hidden_size a multiple of 64, the block in which NF4 is packed on a CPU."""
    context: Count
    """Longest text in tokens."""
    epochs: Count
    batch_size: Count
    learning_rate: Rate
    price_weight: Annotated[float, Field(ge=1)]
    """Weight of the price token in the loss; every other token has weight 1."""
    price_spread: Annotated[float, Field(gt=0)]
    """Sigma of the logarithm with which the price token's target is spread over the dollars around it."""


class Base(Section):
    """The model that everything below adapts."""

    model: str
    """`embedded`, a local directory in the Hugging Face layout, or the id of a hub model."""
    revision: str | None
    """Commit of the hub model, 40 hex digits; needed for a hub model and only there."""
    pretraining: Pretraining


class Baseline(Section):
    """What a model has to beat."""

    seed: Seed
    vocabulary: Count
    """Commonest terms that get a column, of the bag of words and of TF-IDF."""
    brands: Count
    """Commonest brands and categories that get a column of their own; the others share one."""
    specifications: Count
    """Commonest specifications with a number in them that get a column."""
    ridge_alphas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Penalties that ridge regression chooses from, by cross-validation on train."""
    ridge_folds: Annotated[int, Field(ge=2)]
    boosting_iterations: Count
    boosting_components: Count
    """Dimensions to which TF-IDF is reduced for the boosted trees."""
    shots: Count
    """Priced examples in the prompt of the few-shot base model; fewer where its context is too short."""
    batch_size: Count


class Lora(Section):
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685) on all linear layers."""

    rank: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Sft(Section):
    """Supervised fine-tuning with QLoRA (Dettmers et al. 2023, arXiv:2305.14314)."""

    seed: Seed
    prompt_tokens: Annotated[int, Field(ge=32)]
    """Longest prompt; of a longer one the end of the listing is cut, never the question."""
    lora: Lora
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    accumulation: Count
    """Batches per optimizer step."""
    learning_rate: Rate
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    checkpoint_steps: Count
    """Optimizer steps between two checkpoints, from which a killed run resumes."""


class People(Section):
    """Rankings by people (origins/people.py), as `python -m components.ranking` writes them."""

    path: str
    """JSONL with prompt, completions, ranks and annotator."""


class PreferenceSet(Section):
    """An existing preference data set in TRL's format: prompt, chosen, rejected."""

    path: str
    """A JSONL or Parquet file, or the id of a data set on the hub."""
    revision: str | None
    """Commit of the hub's data set, 40 hex digits; needed there and only there."""
    split: str
    """Of a hub's data set."""


class Constitution(Section):
    """AI feedback by written principles (Bai et al. 2022, arXiv:2212.08073)."""

    path: str
    """YAML with the principles and the three questions."""
    judge: Literal["endpoint", "local"]
    endpoint: str
    """Base address of an OpenAI-compatible server; a key comes from the variable PRICEWRIGHT_JUDGE_KEY."""
    model: str
    """The model's name at the endpoint, or the folder of a local one."""
    prompts: Count
    """Prompts that are judged, from the first."""
    answer_tokens: Count
    """Longest critique, revision or verdict."""
    timeout_seconds: Annotated[float, Field(gt=0)]
    attempts: Count
    """Tries of one question at an endpoint that fails."""


class Preferences(Section):
    """Pairs of completions, one better than the other, from one or several origins."""

    seed: Seed
    origins: Annotated[list[Literal["truth", "people", "constitution", "dataset"]], Field(min_length=1)]
    completions: Annotated[int, Field(ge=2)]
    """Completions sampled for each prompt."""
    temperature: Annotated[float, Field(gt=0)]
    batch_size: Count
    margin_min: Annotated[float, Field(ge=0)]
    """Dollars; a pair whose completions differ less in their error is left out."""
    pairs_per_prompt: Count
    people: People
    dataset: PreferenceSet
    constitution: Constitution


class Reward(Section):
    """The reward model: the SFT adapter trained on with a scalar head, on pairs (Bradley-Terry)."""

    seed: Seed
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    learning_rate: Rate
    center_coefficient: Annotated[float, Field(ge=0)]
    """Weight of the penalty that keeps the mean reward at zero (arXiv:2312.09244)."""
    held_out: Share
    """Share of the prompts on which pair accuracy is measured."""


DpoLoss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
]
RewardSource = Literal["truth", "model"]


class Dpo(Section):
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290)."""

    seed: Seed
    loss: Annotated[list[DpoLoss], Field(min_length=1)]
    """TRL's names; the losses of several are added up. `sigmoid` is that of the paper."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    """Share of pairs taken to be the wrong way round; read by `robust` (above 0 there) and `exo_pair`."""
    beta: Annotated[float, Field(gt=0)]
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    learning_rate: Rate


class SftBestOfN(Section):
    """Rejection sampling: the policy fine-tuned on the best of its own completions."""

    seed: Seed
    reward: RewardSource
    """Who says which is best: the true price, or the reward model."""
    completions: Annotated[int, Field(ge=2)]
    """Sampled for each prompt."""
    temperature: Annotated[float, Field(gt=0)]
    sample_batch_size: Count
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    learning_rate: Rate


class Online(Section):
    """What rloo and grpo share: they sample as they train."""

    seed: Seed
    reward: RewardSource
    """`truth`: minus the error in dollars; `model`: the reward model."""
    beta: Annotated[float, Field(gt=0)]
    """Price of a nat of KL from the reference, in units of reward: dollars for `truth`."""
    generations: Annotated[int, Field(ge=2)]
    """Completions of one prompt, each other's baseline."""
    batch_size: Count
    """Completions in a step, a multiple of `generations`."""
    steps: Count
    iterations: Count
    """Optimizer steps on the same completions."""
    completion_tokens: Count
    """Longest completion, the end-of-text token included."""
    learning_rate: Rate
    clip: Share
    """How far the probability ratio of new and old policy counts on either side of 1."""

    @model_validator(mode="after")
    def _whole_groups(self) -> Online:
        if self.batch_size % self.generations:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of generations {self.generations}")
        return self


class Rloo(Online):
    """REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740)."""


class Grpo(Online):
    """Group relative policy optimization (Shao et al. 2024, arXiv:2402.03300)."""

    scale: bool
    """Whether rewards are divided by their standard deviation in the group."""


class Ppo(Section):
    """Proximal policy optimization (arXiv:1707.06347) with a KL penalty (arXiv:1909.08593)."""

    seed: Seed
    steps: Count
    """Rounds of sampling and updating."""
    rollouts: Count
    """Completions sampled in each round, one per prompt."""
    completion_tokens: Count
    """Longest completion, the end-of-text token included."""
    batch_size: Count
    """Completions in an optimizer step, and in any pass through the model."""
    epochs: Count
    """Passes over the completions of a round."""
    learning_rate: Rate
    """Of the policy; falls to zero in a straight line, as does the next."""
    value_learning_rate: Rate
    gamma: Annotated[float, Field(gt=0, le=1)]
    """Discount of later rewards."""
    gae_lambda: Annotated[float, Field(ge=0, le=1)]
    """0 trusts the value head, 1 the sampled return (generalized advantage estimation)."""
    clip: Share
    """How far the probability ratio of new and old policy counts on either side of 1."""
    value_clip: Annotated[float, Field(gt=0)]
    """How far a value may move in one round before its gradient is cut."""
    entropy: Annotated[float, Field(ge=0)]
    """Weight of the entropy bonus; above 0 the optimum is flatter than the KL penalty alone makes it."""
    beta: Annotated[float, Field(gt=0)]
    """Price of a nat of KL from the reference, in units of reward; where the controller starts."""
    kl_target: Annotated[float, Field(gt=0)]
    """Nats per completion that the controller of beta steers to."""
    kl_gain: Annotated[float, Field(ge=0)]
    """How fast it steers (0.1 in arXiv:1909.08593); 0 keeps beta where it is."""
    update_kl_max: Annotated[float, Field(gt=0)]
    """Nats per token from the sampling policy at which the updates of a round end early."""
    gradient_norm_max: Annotated[float, Field(gt=0)]
    checkpoint_steps: Count
    """Rounds between two checkpoints, from which a killed run resumes."""


class Watching(Section):
    """The gate of every alignment run: reward against true error on validation (alignment/watch.py)."""

    seed: Seed
    rows: Annotated[int, Field(ge=10)]
    """Validation prompts answered at each look, at most as many as there are."""
    looks: Count
    """Looks after the first one at the SFT model, evenly over the run."""
    batch_size: Count
    stop: bool
    """Whether a bad look ends the run; its weights are never kept either way."""
    reward_rise: Annotated[float, Field(ge=0)]
    """Standard errors, paired by prompt, from which the reward has risen."""
    error_fall: Annotated[float, Field(ge=0)]
    """Standard errors, paired by prompt, from which the true error has fallen."""
    kl_max: Annotated[float, Field(gt=0)]
    """Budget in nats per completion."""
    distinct_min: Annotated[float, Field(ge=0, lt=1)]
    """Smallest share of the different completions that there were at the SFT model."""
    entropy_min: Annotated[float, Field(ge=0, lt=1)]
    """Smallest share of the SFT model's entropy per token."""
    length_drift: Annotated[float, Field(gt=1)]
    """Largest factor by which completions may grow longer or shorter."""
    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples for each 95% interval against the SFT model."""


class Align(Section):
    """Alignment of the SFT model; each method becomes a candidate of its own."""

    methods: Annotated[list[Literal["dpo", "grpo", "ppo", "rloo", "sft_best_of_n"]], Field(min_length=1)]
    error_max: Annotated[float, Field(gt=0)]
    """Dollars: the error of a completion that is no price, and the largest error that counts: when rewards
    are the truth, and at the looks of the gate. A few wild answers would drown the others in noise."""
    watch: Watching
    dpo: Dpo
    sft_best_of_n: SftBestOfN
    rloo: Rloo
    grpo: Grpo
    ppo: Ppo


class Endpoint(Section):
    """An OpenAI-compatible chat endpoint that is asked for comparison."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")]
    """Of the candidate in the tables."""
    url: Annotated[str, Field(pattern=r"^https?://")]
    """What stands before `/chat/completions`."""
    model: str
    key_variable: str | None
    """Environment variable that holds the key; null where none is needed."""
    options: dict[str, Any]
    """Further fields of the request, such as `temperature` or `max_completion_tokens`."""
    rows: Count
    """Test rows that are asked, from the first on."""
    requests_per_minute: Annotated[float, Field(gt=0)]
    concurrency: Count
    """Requests under way at a time."""
    timeout_seconds: Annotated[float, Field(gt=0)]
    attempts: Count
    """Before an answer is given up, and the stage with it."""
    dollars_in: Annotated[float, Field(ge=0)]
    """Dollars for a million tokens of prompts."""
    dollars_out: Annotated[float, Field(ge=0)]
    """Dollars for a million tokens of answers."""


class Guesses(Section):
    """What people said of test listings."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")]
    """Of the candidate in the tables."""
    path: Annotated[str, Field(pattern=r"^data/")]
    """CSV file with the columns `id` and `price`, in `data/`, which DVC watches."""


class Evaluate(Section):
    """How every candidate is measured."""

    seed: Seed
    batch_size: Count
    bootstrap: Annotated[int, Field(ge=100)]
    """Resamples for each 95% interval."""
    interval: Share
    """Probability that the interval low..high is to hold."""
    calibration_rows: Annotated[int, Field(ge=20)]
    """Fewest validation rows in a price band whose intervals are calibrated on their own; with 250 the
    coverage of an 80% interval stays within 4 points of it nine times in ten."""
    hit_dollars: Annotated[float, Field(gt=0)]
    hit_share: Share
    """A prediction hits if it is off by at most `hit_dollars` or by this share of the true price."""
    bands: Count
    """Price bands of about equal row count in the picture of errors by price."""
    categories: Count
    """Commonest categories in the picture of errors by category; the others share one bar."""
    steered_rows: Count
    """Test listings into which each attack on the price is put (components/steering.py)."""
    steered_share: Share
    """A price has moved if it changed by more than this share."""
    endpoints: list[Endpoint]
    guesses: list[Guesses]

    @model_validator(mode="after")
    def _distinct(self) -> Evaluate:
        names = [one.name for one in self.endpoints] + [one.name for one in self.guesses]
        if len(set(names)) < len(names):
            raise ValueError("two endpoints or guesses have the same name")
        return self


class Quantize(Section):
    """The served model."""

    formats: Annotated[list[Literal["nf4", "int8", "w4a16", "gguf", "none"]], Field(min_length=1)]
    """Tried in this order, the first that answers alike is served. `nf4`: bitsandbytes NF4 with double
    quantization; `int8`: bitsandbytes LLM.int8(); `w4a16`: compressed-tensors by llm-compressor, for vLLM
    (the extra of that name); `gguf`: Q8_0 by llama.cpp's converter, where that is on the PATH (and the extra
    of that name); `none`: the merged model in full precision."""
    batch_size: Count
    mae_tolerance: Annotated[float, Field(gt=0)]
    """Dollars: the 95% interval of the change of the validation MAE against the merged model has to lie
    within so much of zero."""
    moved: Share
    """A price has moved if it changed by more than this share of the merged model's."""
    moved_share_max: Annotated[float, Field(ge=0, le=1)]
    """Largest share of validation prices that may have moved."""
    size_ratio_max: Annotated[float, Field(gt=0)]
    """Largest size in bytes, over the merged model's."""
    latency_ratio_max: Annotated[float, Field(gt=0)]
    """Longest time for the same rows, over the merged model's; generous, for clocks are noisy."""


class Register(Section):
    """The version in the MLflow registry."""

    model_name: Annotated[str, Field(min_length=1)]


class Promote(Section):
    """The gate before the alias `champion`. No stage: it is read by `components.promotion` and its flow."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=1000)]
    """Resamples for the interval of the difference."""
    error_rate: Annotated[float, Field(gt=0, lt=0.5)]
    """Chance with which a challenger that is better by no more than `minimum_effect` is promoted all the
    same; the interval holds the true difference with probability 1 - 2 * error_rate."""
    power: Share
    """Chance with which a difference as large as the observed one would be found on `rows_needed` rows."""
    minimum_effect: Annotated[float, Field(ge=0)]
    """Dollars of MAE; a challenger has to be better by more."""
    rows_min: Annotated[int, Field(ge=2)]
    """Fewest test rows that both could answer: on fewer a bootstrap interval is too narrow to be trusted."""
    baselines: Annotated[list[str], Field(min_length=1)]
    """Candidates of `baseline` that a first champion has to beat, each by the same test."""
    unparsed_share_max: Annotated[float, Field(ge=0, lt=1)]
    """Largest share of answers of the challenger that are no price."""
    coverage_min: Annotated[float, Field(ge=0, le=1)]
    """Smallest share of true prices that the challenger's interval low..high may hold."""
    coverage_max: Annotated[float, Field(ge=0, le=1)]
    """Largest such share: an interval that holds everything says nothing."""
    size_max_mb: Annotated[float, Field(gt=0)]
    """Largest served model, millions of bytes on the disk."""
    latency_max_ms: Annotated[float, Field(gt=0)]
    """Most milliseconds that a listing may take on the machine that decides, asked in batches."""
    parity_rise_max: Annotated[float, Field(ge=0)]
    """Dollars by which the validation MAE may rise from the merged to the served model."""
    forgetting_ratio_max: Annotated[float, Field(gt=0)]
    """Most by which the perplexity on general text may have grown, as a ratio to the base model's."""
    approval: bool
    """Whether a person has to approve a promotion that a deployment proposes (Prefect: pause and resume)."""
    approval_hours: Annotated[float, Field(gt=0)]
    """Hours after which a proposal that nobody approved lapses."""

    @model_validator(mode="after")
    def _ordered(self) -> Promote:
        if self.coverage_min > self.coverage_max:
            raise ValueError(
                f"coverage_min {self.coverage_min:g} is above coverage_max {self.coverage_max:g}"
            )
        return self


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Params:
    """The whole of params.yaml, one section per stage and one for the gate."""

    scrape: Scrape
    curate: Curate
    validate: Validate
    base: Base
    baseline: Baseline
    sft: Sft
    preferences: Preferences
    reward: Reward
    align: Align
    evaluate: Evaluate
    quantize: Quantize
    register: Register
    promote: Promote


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises ParamsError with one line per fault: the key's full name, what is wrong, and the nearest
    right key for an unknown one.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run from the project's root") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not readable as YAML: {error}") from error
    try:
        return TypeAdapter(Params).validate_python(raw)
    except ValidationError as error:
        lines = [_explain(dict(fault)) for fault in error.errors()]
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in lines)) from error


def _explain(fault: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "the file"
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = _keys(fault["loc"][:-1])
            near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
            return f"{where}: unknown key; {hint}"
        case "missing" | "missing_argument":
            return f"{where}: missing; params.yaml is the only place where it can be set"
        case "float_type" if _is_number(fault["input"]):
            return f"{where}: {fault['input']!r} is text, not a number: YAML wants 2.0e-4, not 2e-4"
        case _:
            return f"{where}: {fault['msg'].removeprefix('Value error, ')}, found {fault['input']!r}"


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, str) and float(value) is not None
    except ValueError:
        return False


def _keys(location: tuple[Any, ...]) -> list[str]:
    """Names that the section at `location` may have."""
    section: type = Params
    for part in location:
        section = get_type_hints(section)[part]
    return [name for name in get_type_hints(section) if name != "model_config"]
