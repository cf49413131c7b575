"""What the base model sees in texts: its hidden states, for a comparison of traffic with training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.core.errors import PricewrightError
from components.model.prompt import Asked
from components.monitoring.looks import Values

BASE = Path("artifacts/base")


def states_of(
    parts: Sequence[list[str]], task: Asked, *, depths: list[float], batch_size: int
) -> list[Values]:
    """The hidden states of each list of texts, (n, d), by the base model in artifacts/base.

    Raises PricewrightError where there is none.
    """
    if not (BASE / "config.json").is_file():
        raise PricewrightError(f"{BASE} has no model: `make run`, or set watch.components to 0")
    from components.model.hidden_states import hidden_states
    from components.model.loading import load_tokenizer, load_whole

    model, tokenizer = load_whole(BASE), load_tokenizer(BASE)
    title = "what the base sees"
    return [
        hidden_states(model, tokenizer, texts, task, depths=depths, batch_size=batch_size, title=title)
        for texts in parts
    ]
