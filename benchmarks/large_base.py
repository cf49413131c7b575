"""A base of 8 billion parameters on a GPU: tokens and listings a second, utilization, and memory.

    python -m benchmarks.large_base

The base has the shape of Llama-3.1-8B and random weights, so that no hub is needed: how fast it is does not
depend on what it knows. It is held in NF4 and goes through the project's own functions: `sft` on the train
split, and the reading of price distributions on the validation split. Needs a GPU, 20 GB of disk, and the
splits and the tokenizer that `make run` left in artifacts/.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, LlamaConfig

from benchmarks.training import Untracked
from components.core import stage
from components.core.params.file import load_params
from components.model import loading, training
from components.model.distribution import listing_distribution
from components.sft import examples, sft
from components.tasks import task_of

SHAPE: dict[str, Any] = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}
TRAINED, WARM_UP, PRICED = 1024, 64, 256  # rows


def write_base(folder: Path, tokenizer: Any) -> int:
    """Write a base of SHAPE with random weights in bfloat16; returns its parameters."""
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE, **ids), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


@contextmanager
def utilization() -> Iterator[list[int]]:
    """Per cent of the time in which the GPU was busy, as its driver counts it, four times a second."""
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.25):
            seen.append(torch.cuda.utilization())

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    ended.set()
    thread.join()


def main() -> None:
    """Train and read, and print how fast."""
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.large_base needs a GPU")
    params, table = load_params(), Table("what", "figure")
    task = task_of(params.task)
    train = stage.read("artifacts/curate/train.parquet").head(TRAINED)
    texts = stage.read("artifacts/curate/validation.parquet")["text"].head(PRICED).tolist()
    tokenizer = loading.load_tokenizer(Path("artifacts/base"))
    tokens = sum(len(row["input_ids"]) for row in examples(tokenizer, train, task))
    section = params.sft.model_copy(update={"epochs": 1.0, "held_out": 0.0})
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        parameters = write_base(base, tokenizer)
        torch.cuda.empty_cache()
        curves: Any = training.Curves(Untracked())  # type: ignore[arg-type]
        sft(train.head(WARM_UP), section, task, base, Path(scratch) / "warm", curves)
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        loading.load_model(base)
        loaded = time.perf_counter() - began
        with utilization() as busy:
            began = time.perf_counter()
            model = sft(train, section, task, base, Path(scratch) / "timed", curves).eval()
            speed = tokens / (time.perf_counter() - began - loaded)
        table.add_row("GPU", torch.cuda.get_device_name())
        table.add_row("parameters", f"{parameters / 1e9:.2f} billion")
        table.add_row(
            "SFT", f"{speed:,.0f} tokens a second, {len(train)} rows, batches of {section.batch_size}"
        )
        # frozen weights have no gradient of their own: two operations forward, two backward
        table.add_row("SFT, useful operations", f"{4 * parameters * speed / 1e12:.0f} TFLOP/s")
        table.add_row("GPU busy", f"{sum(busy) / max(len(busy), 1):.0f}% (its loading included)")
        table.add_row("peak memory of SFT", f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
        began = time.perf_counter()
        options: dict[str, Any] = {"batch_size": params.evaluate.batch_size, "title": "pricing"}
        listing_distribution(model, tokenizer, texts, task, **options)
        table.add_row("pricing", f"{len(texts) / (time.perf_counter() - began):.1f} listings a second")
    Console().print(table)


if __name__ == "__main__":
    main()
