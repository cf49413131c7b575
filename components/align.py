"""Align: the SFT adapter trained on by one alignment method, to artifacts/align/<method>/.

Reads artifacts/base/, artifacts/sft/, artifacts/preferences/ and artifacts/reward/. Each method is a file
in components/alignment/ with a function of its name; several run at once as children of the DVC matrix.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components import modeling, stage
from components.alignment import dpo, ppo

METHODS: dict[str, Callable[..., tuple[Any, dict[str, Any]]]] = {"dpo": dpo.align, "ppo": ppo.align}


def main() -> None:
    """Read the pairs and the SFT adapter, write the aligned adapter. The method is the one argument."""
    method = sys.argv[1] if len(sys.argv) > 1 else ""
    if method not in METHODS:
        raise SystemExit(
            f"align: error: say which method: python -m components.align {{{','.join(METHODS)}}}"
        )
    with stage.run("align", method) as frame:
        model, report = METHODS[method](
            stage.read("artifacts/preferences/pairs.parquet"),
            getattr(frame.params.align, method),
            base=Path("artifacts/base"),
            adapter=Path("artifacts/sft"),
            reward=Path("artifacts/reward"),
            scratch=frame.scratch,
            curves=modeling.Curves(frame.tracked),
        )
        modeling.save_adapter(model, frame.folder)
        frame.report(report)
        frame.discard_scratch()


if __name__ == "__main__":
    main()
