"""What frozen layers make of a row, computed once: training reads the same rows in every epoch, and below the
lowest adapter nothing changes from one reading to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

BYTES_MAX = 2 << 30  # of hidden states that are kept; a batch with a row beyond is computed anew
Key = tuple[int, ...]
"""The token ids of a row, without padding."""


@contextmanager
def computed_once(model: PeftModel) -> Iterator[FrozenLayers]:
    """Inside the block the layers below the lowest adapter are computed once for each row; see
    `FrozenLayers`. There may be none: then nothing is kept.
    """
    decoder: Any = model.get_base_model().base_model
    frozen = FrozenLayers(below_adapters(decoder))
    hook = decoder.register_forward_pre_hook(frozen.note_rows, with_kwargs=True)
    try:
        with frozen.in_place():
            yield frozen
    finally:
        hook.remove()


def below_adapters(decoder: Any) -> list[torch.nn.Module]:
    """The layers of a decoder that come before the first with an adapter; none where it names no `layers`,
    and where they drop out: then no two readings are alike.
    """
    layers = list(getattr(decoder, "layers", ()))
    adapted = [any(isinstance(part, BaseTunerLayer) for part in layer.modules()) for layer in layers]
    below = layers[: adapted.index(True)] if any(adapted) else []
    return [] if any(drops_out(part) for layer in below for part in layer.modules()) else below


def drops_out(part: Any) -> bool:
    """Whether a module drops some of its inputs in training, by itself or in its attention."""
    return bool(getattr(part, "attention_dropout", 0.0) or (isinstance(part, torch.nn.Dropout) and part.p))


class FrozenLayers:
    """Layers without a gradient, and what they have given for rows of token ids.

    A row is kept where it stands at the beginning of its line, padded at its end or not at all, and where it
    is read whole: neither with a cache of keys and values, nor at positions of its own, nor with a gradient
    through its embeddings. Any other is computed as ever.
    """

    def __init__(self, layers: list[torch.nn.Module]) -> None:
        self._layers = layers
        self._forwards: list[Callable[..., torch.Tensor]] = [layer.forward for layer in layers]
        self._states: dict[Key, torch.Tensor] = {}
        self._rows: list[Key] = []
        self.bytes = 0
        self.reused = 0
        """Rows that were not computed again."""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The layers pass a batch on whose rows are all kept: the last of them answers."""
        for number in range(len(self._layers)):
            self._layers[number].forward = partial(self._through, number)
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.forward  # that of the class again

    def note_rows(self, _: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Called before the decoder: which rows it is given, none where they may not be kept."""
        ids = args[0] if args else options.get("input_ids")
        padded = options.get("attention_mask")
        self._rows = []
        if ids is None or options.get("position_ids") is not None:
            return
        real = torch.ones_like(ids) if padded is None else padded
        if real.shape != ids.shape or not (real[:, 0].all() and (real[:, 1:] <= real[:, :-1]).all()):
            return
        lengths = real.sum(dim=1).tolist()
        self._rows = [tuple(row[:length]) for row, length in zip(ids.tolist(), lengths, strict=True)]

    def _through(self, number: int, states: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        """The hidden states after the layer of that number, (rows, tokens, size)."""
        kept = self._rows and options.get("past_key_values") is None and not states.requires_grad
        last = number == len(self._layers) - 1
        if kept and all(row in self._states for row in self._rows):
            return self._again(states) if last else states
        states = self._forwards[number](states, *args, **options)  # of masks and angles that are its own
        if kept and last:
            self._keep(states)
        return states

    def _again(self, states: torch.Tensor) -> torch.Tensor:
        self.reused += len(self._rows)
        result = torch.zeros_like(states, dtype=self._states[self._rows[0]].dtype)
        for place, row in enumerate(self._rows):
            result[place, : len(row)] = self._states[row]
        return result

    def _keep(self, states: torch.Tensor) -> None:
        for row, of in zip(self._rows, states, strict=True):
            size = len(row) * of.shape[1] * of.element_size()
            if row not in self._states and self.bytes + size <= BYTES_MAX:
                self._states[row] = of[: len(row)].clone()
                self.bytes += size
