"""The actor of proximal policy optimization: a transformer whose adapters take turns on one 4-bit base."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from components.alignment.ppo_rollouts import Completions, Policy, until_end
from components.alignment.rewards import RewardModel
from components.core.params.align import Ppo
from components.model import adapters
from components.model.examples import PromptIds
from components.model.tokens import left_padded


class AdapterActor:
    """An `Actor` whose policy, reference, value function and reward model are adapters on one base."""

    def __init__(
        self,
        model: Any,
        value_head: Any,
        reward_model: RewardModel,
        tokenizer: Any,
        prompts: list[PromptIds],
        section: Ppo,
    ) -> None:
        """`model` is that of `adapters.load_policy` with one more adapter, `value`; `value_head` its head."""
        self.model, self.value_head, self.reward_model = model, value_head, reward_model
        self.end, self.tokenizer, self.prompts = tokenizer.eos_token_id, tokenizer, prompts
        self.width, self.batch_size = section.max_completion_length, section.batch_size

    def weights(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        """(the policy's adapter, the adapter and the head of the value function)."""
        values = [*adapters.adapter_weights(self.model, "value"), *self.value_head.parameters()]
        return adapters.adapter_weights(self.model, "default"), values

    def sample(self, prompts: Tensor) -> Completions:
        """See `Actor`; all rows are `max_completion_length` wide."""
        self._activate("default")
        actions = torch.full((len(prompts), self.width), self.end)
        for rows in torch.arange(len(prompts)).split(self.batch_size):
            tokens, real, _ = left_padded([list(self.prompts[prompt]) for prompt in prompts[rows]])
            output = self.model.generate(
                input_ids=tokens.to(self.model.device),
                attention_mask=real.to(self.model.device),
                do_sample=True,  # from the policy as it is: whatever its generation_config.json says
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                repetition_penalty=1.0,
                max_new_tokens=self.width,
                eos_token_id=self.end,
                pad_token_id=self.end,
            )[:, tokens.shape[1] :].cpu()
            actions[rows, : output.shape[1]] = output
        return Completions(prompts, actions, until_end(actions, self.end))

    def logits(self, policy: Policy, completions: Completions) -> Tensor:
        """See `Actor`."""
        self._activate("default" if policy == "policy" else policy)
        logits = self.model(
            **self._inputs(completions), use_cache=False, logits_to_keep=self.width + 1
        ).logits
        return logits[:, :-1].float().cpu()

    def values(self, completions: Completions) -> Tensor:
        """See `Actor`."""
        self._activate("value")
        hidden = self.model.get_base_model().base_model(**self._inputs(completions), use_cache=False)
        return self.value_head(hidden.last_hidden_state[:, -1 - self.width : -1].float())[..., 0].cpu()

    def scores(self, completions: Completions) -> Tensor:
        """See `Actor`. As the reward model was trained: by the text, however it was spelled, and with an
        end-of-text token, even after a completion that was cut off.
        """
        rows = zip(completions.actions, completions.counted, strict=True)
        texts = self.tokenizer.batch_decode([row[real] for row, real in rows], skip_special_tokens=True)
        prompts = [self.prompts[number] for number in completions.prompts.tolist()]
        return torch.from_numpy(self.reward_model(prompts, texts))

    def _activate(self, adapter: str) -> None:
        learning = torch.is_grad_enabled()
        adapters.activate(self.model, adapter, frozen=not learning)
        self.model.train(learning)  # gradient checkpointing only works in training; dropout is off

    def _inputs(self, completions: Completions) -> dict[str, Tensor]:
        tokens, real, _ = left_padded([list(self.prompts[prompt]) for prompt in completions.prompts])
        mask = torch.cat([real, completions.counted.long()], dim=1)
        inputs = {
            "input_ids": torch.cat([tokens, completions.actions], dim=1),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        }
        return {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
