"""The process in which a version answers: run by its path, so that its own code is all that it finds.

    python -P components/serving/worker.py [library ...]

It imports the libraries that are named and installed, then reads JSON by the line and answers each line by
one. The first line is the folder of a version in MLflow's layout and the one to work in, the answer the
version's signature; each further line is a list of items, `{"data": ..., "params": ...}` in a
format of `mlflow models serve`, the answer a list of `{"predictions": ...}` or `{"status", "message"}`. It
ends where the lines end. A module of this project must not be imported here: a version brings its own.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections import defaultdict
from contextlib import suppress
from io import StringIO
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import infer_and_parse_data, predictions_to_json

MENDABLE = "PricewrightError"
"""Name of the error of a version whose message is for who sent the request."""
MESSAGE_MAX = 300
"""Most characters of a message."""


def signature(model: Any) -> dict[str, Any]:
    """Columns that go in and come out, and the params: lists of dictionaries as MLflow writes them."""
    schemas = {
        "inputs": model.metadata.get_input_schema(),
        "outputs": model.metadata.get_output_schema(),
        "params": model.metadata.get_params_schema(),
    }
    return {name: schema.to_dict() if schema else [] for name, schema in schemas.items()}


def answers(model: Any, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An answer for each item, in their order. Items of the same columns and params go through the model
    together; where that fails, each alone, so that none is refused for what stands in another.
    """
    schema = model.metadata.get_input_schema()
    outcomes: list[dict[str, Any]] = [{} for _ in items]
    together = defaultdict(list)
    for place, item in enumerate(items):
        try:
            data = infer_and_parse_data(item["data"], schema)
        except Exception as error:
            outcomes[place] = refusal(error)
            continue
        kind = tuple(data.dtypes.astype(str).items()) if isinstance(data, pd.DataFrame) else place
        together[kind, json.dumps(item["params"], sort_keys=True)].append((place, data))
    for (_, params), group in together.items():
        places = [place for place, _ in group]
        for place, outcome in zip(
            places, _predicted(model, [data for _, data in group], json.loads(params)), strict=True
        ):
            outcomes[place] = outcome
    return outcomes


def _predicted(model: Any, parts: list[Any], params: Any) -> list[dict[str, Any]]:
    """An answer for each of several inputs of the same kind."""
    if len(parts) > 1:
        with suppress(Exception):  # each alone says which row it was, and why
            return _together(model, parts, params)
    outcomes = []
    for part in parts:
        try:
            outcomes.append(_json(model.predict(part, params)))
        except Exception as error:
            outcomes.append(refusal(error))
    return outcomes


def _together(model: Any, parts: list[pd.DataFrame], params: Any) -> list[dict[str, Any]]:
    """The same by one call of the model. Raises ValueError where it gives no row for each row."""
    joined = model.predict(pd.concat(parts, ignore_index=True), params)
    if len(joined) != sum(map(len, parts)):
        raise ValueError("nobody knows whose answer is whose")
    rows = joined.iloc if isinstance(joined, pd.DataFrame | pd.Series) else joined
    outcomes, start = [], 0
    for part in parts:
        outcomes.append(_json(rows[start : start + len(part)]))
        start += len(part)
    return outcomes


def _json(predictions: Any) -> dict[str, Any]:
    """What `mlflow models serve` writes of them, read back."""
    text = StringIO()
    predictions_to_json(predictions, text)
    return dict(json.loads(text.getvalue()))


def refusal(error: Exception) -> dict[str, Any]:
    """The status and the line that a client is given; for the log, which error of the version it was."""
    if any(kind.__name__ == MENDABLE for kind in type(error).__mro__):
        return {"status": 400, "message": _line(str(error))}
    if isinstance(error, MlflowException):
        return {"status": 400, "message": _line(error.message.rpartition("Error: ")[2])}
    return {"status": 500, "message": "the version could not answer this", "fault": type(error).__name__}


def _line(text: str) -> str:
    line = next(iter(text.strip().splitlines()), "this cannot be read")
    return line if len(line) <= MESSAGE_MAX else f"{line[:MESSAGE_MAX]}..."


def main() -> None:
    """Load a version, then answer line after line; what its code prints goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)

        def send(value: Any) -> None:
            channel.write(json.dumps(value) + "\n")
            channel.flush()

        for library in sys.argv[1:]:
            with suppress(ImportError):
                importlib.import_module(library)
        folder, place = json.loads(sys.stdin.readline())
        os.chdir(place)
        model = mlflow.pyfunc.load_model(folder)
        send(signature(model))
        for line in sys.stdin:
            send(answers(model, json.loads(line)))


if __name__ == "__main__":
    main()
