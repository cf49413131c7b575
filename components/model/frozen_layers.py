"""What frozen layers make of a row, computed once: training reads the same rows in every epoch, and below the
lowest adapter nothing changes from one reading to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

BYTES_MAX = 2 << 30  # of hidden states that are kept; rows beyond are computed whenever they are read
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
    """The layers of a decoder that come before the first with an adapter; none where it names no `layers`."""
    layers = list(getattr(decoder, "layers", ()))
    adapted = [any(isinstance(part, BaseTunerLayer) for part in layer.modules()) for layer in layers]
    return layers[: adapted.index(True)] if any(adapted) else []


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
        """The first of the layers answers for all of them, and the others pass on what they are given."""
        for layer in self._layers:
            layer.forward = self._through if layer is self._layers[0] else _unchanged
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

    def _through(self, states: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        """The hidden states after all of the layers, (rows, tokens, size)."""
        kept = self._rows and options.get("past_key_values") is None and not states.requires_grad
        if kept and all(row in self._states for row in self._rows):
            self.reused += len(self._rows)
            result = torch.zeros_like(states, dtype=self._states[self._rows[0]].dtype)
            for place, row in enumerate(self._rows):
                result[place, : len(row)] = self._states[row]
            return result
        for forward in self._forwards:
            states = forward(states, *args, **options)
        if kept:
            self._keep(states)
        return states

    def _keep(self, states: torch.Tensor) -> None:
        for row, of in zip(self._rows, states, strict=True):
            size = len(row) * of.shape[1] * of.element_size()
            if row not in self._states and self.bytes + size <= BYTES_MAX:
                self._states[row] = of[: len(row)].clone()
                self.bytes += size


def _unchanged(states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return states
