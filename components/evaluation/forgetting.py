"""What tuning cost a model elsewhere: the same general texts and questions, before and after.

The texts are the project's own, so no model has trained on them. They are few: the figures tell whether a
model fell apart, not which of two is the better reader.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from sacrebleu.metrics.bleu import BLEU

from components.model import sampling

TEXTS = (
    "The river rises in the hills above the town and takes two days to reach the sea. In spring it carries "
    "so much water that the lower meadows are flooded, and the farmers move their sheep to higher ground.",
    "A heap sort builds a tree in which every parent is larger than its children, takes the root away, and "
    "repairs the tree. It needs no further memory, and its time grows like n log n in every case.",
    "My grandmother kept bees behind the house. She talked to them in the evening, she said, because a hive "
    "that is told the news of the family does not fly away.",
    "To make a simple bread, mix flour, water, salt and a little yeast, let the dough rest overnight, fold "
    "it twice in the morning, and bake it in a hot pot with the lid on for half an hour.",
    "The committee met on Tuesday to discuss the new timetable. Most members agreed that the last bus leaves "
    "too early, but nobody could say who would pay for a later one.",
    "Light from the sun takes about eight minutes to reach the earth. If the sun went out, we would go on "
    "seeing it for those eight minutes, and feel its pull for just as long.",
    "He closed the shop at six, counted the money, and walked home along the canal. It had begun to snow, "
    "and the lamps on the other bank looked like a row of small moons.",
    "A contract that was signed under threat is not binding. The party that was threatened may withdraw from "
    "it within a year, counted from the day on which the threat came to an end.",
)
QUESTIONS = (
    ("Which of these is an animal?", ("a horse", "a hammer", "a window", "a shirt")),
    ("What do people drink?", ("water", "sand", "iron", "paper")),
    ("Where do fish live?", ("in water", "in trees", "in books", "in ovens")),
    ("What is the opposite of hot?", ("cold", "tall", "loud", "green")),
    ("What comes after Monday?", ("Tuesday", "Friday", "winter", "noon")),
    ("What do you wear on your feet?", ("shoes", "gloves", "a hat", "a ring")),
    ("Which one can fly?", ("a bird", "a table", "a stone", "a lake")),
    ("What do you read?", ("a book", "a spoon", "a cloud", "a wheel")),
    ("What is made by a baker?", ("bread", "glass", "wool", "steel")),
    ("Which one is a colour?", ("red", "round", "heavy", "quick")),
    ("What do you use to cut paper?", ("scissors", "a pillow", "a lamp", "a broom")),
    ("What falls from the sky in winter?", ("snow", "grass", "bricks", "coffee")),
)
"""A question and its answers, the right one first."""
INSTRUCTIONS = (
    ("Write one sentence about the sea.", "The sea was calm and grey in the early morning."),
    ("Name three fruits.", "Apples, pears and plums."),
    ("Say politely that you cannot come.", "I am sorry, but I cannot come on that day."),
    ("Explain what a ladder is for.", "A ladder is for climbing up to a place that you cannot reach."),
    ("Give the plural of mouse.", "The plural of mouse is mice."),
    ("Turn this into a question: It rains.", "Does it rain?"),
)

WRITTEN_TOKENS = 48
"""Of an instruction, and of what is written after it, at most."""


def measure(model: Any, tokenizer: Any) -> dict[str, float]:
    """`perplexity` per token on TEXTS, that of the answers to INSTRUCTIONS, and the share of QUESTIONS whose
    right answer is the likeliest per token (0.25 by chance).
    """
    texts = [_log_probabilities(model, tokenizer, "", text) for text in TEXTS]
    answers = [_log_probabilities(model, tokenizer, f"{task}\n\n", answer) for task, answer in INSTRUCTIONS]
    right = 0
    for question, choices in QUESTIONS:
        means = [
            _log_probabilities(model, tokenizer, f"{question} It is ", choice).mean() for choice in choices
        ]
        right += int(torch.stack(means).argmax() == 0)
    return {
        "perplexity": _perplexity(texts),
        "instruction_perplexity": _perplexity(answers),
        "choice_accuracy": round(right / len(QUESTIONS), 4),
    }


def generate(model: Any, tokenizer: Any) -> dict[str, float]:
    """What the model itself writes after INSTRUCTIONS, greedily, against the answers there: `bleu`, 0 to 100
    (Papineni et al. 2002, of the whole corpus, by sacrebleu), and the mean `rouge_l`, 0 to 1.

    For diagnosis: a good answer in other words scores nothing.
    """
    completions = sampling.sample(
        model,
        tokenizer,
        [f"{task}\n\n" for task, _ in INSTRUCTIONS],
        completions=1,
        temperature=0,
        prompt_tokens=WRITTEN_TOKENS,
        batch_size=len(INSTRUCTIONS),
        title="writing",
        new_tokens=WRITTEN_TOKENS,
    )
    texts, references = [text for [text] in completions], [answer for _, answer in INSTRUCTIONS]
    overlaps = [rouge_l(text, answer) for text, answer in zip(texts, references, strict=True)]
    return {
        "bleu": round(BLEU().corpus_score(texts, [references]).score, 4),
        "rouge_l": round(sum(overlaps) / len(overlaps), 4),
    }


def rouge_l(text: str, reference: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004, ROUGE-L); case and punctuation aside.

    By hand, because rouge-score brings nltk along.
    """
    words, wanted = (re.findall(r"\w+", written.lower()) for written in (text, reference))
    longest = [0] * (len(wanted) + 1)
    for word in words:
        before = longest[:]
        for place, other in enumerate(wanted, start=1):
            same = before[place - 1] + 1
            longest[place] = same if word == other else max(before[place], longest[place - 1])
    return 2 * longest[-1] / max(len(words) + len(wanted), 1)


def compared(measured: dict[str, dict[str, float]], before: str) -> dict[str, dict[str, float]]:
    """The same with `perplexity_ratio`, over that of the model named `before`: at 1 nothing is lost."""
    start = measured[before]["perplexity"]
    return {
        name: {**figures, "perplexity_ratio": round(figures["perplexity"] / start, 4)}
        for name, figures in measured.items()
    }


def _log_probabilities(model: Any, tokenizer: Any, before: str, text: str) -> torch.Tensor:
    """Natural logarithm of the probability of each token of `text` after `before`; the first token of all
    has nothing before it and is left out.
    """
    head = tokenizer(before, add_special_tokens=False).input_ids if before else []
    ids = torch.tensor([[*head, *tokenizer(text, add_special_tokens=False).input_ids]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    every = logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    return every[max(len(head) - 1, 0) :].cpu()


def _perplexity(parts: list[torch.Tensor]) -> float:
    return round(math.exp(-float(torch.cat(parts).mean())), 4)
