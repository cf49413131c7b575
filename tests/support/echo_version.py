"""A registered version that does what a text tells it: answers, sleeps, fails, or ends its process.

Its price is a number of its own, low the number of rows that went through it together, high the length of the
text.
"""

from __future__ import annotations

from typing import Any

from tests.support.constant import OPTIONS, register_constant

CODE = """
import os, time
import pandas

class PricewrightError(Exception):
    pass

class Model:
    def predict(self, rows, params=None):
        texts = [text or "" for text in rows["description"]]
        for row, text in enumerate(texts):
            if not text:
                raise PricewrightError(f"row {row} has no description: there is nothing to price")
            if text.startswith("sleep"):
                time.sleep(float(text.split()[1]))
            if text == "fail":
                raise KeyError("/secret/place")
            if text == "die":
                print("out of memory", flush=True)
                os._exit(3)
        answer = pandas.DataFrame(
            {"value": PRICE, "low": float(len(texts)), "high": [float(len(text)) for text in texts]}
        )
        if params and params.get("quantiles"):
            answer["quantiles"] = [[float(q) for q in range(params["quantiles"])] for _ in texts]
        return answer

def _load_pyfunc(path):
    START
    return Model()
"""


def register_echo(
    model_name: str, price: float, start: str = "pass", options: dict[str, Any] = OPTIONS, **promised: Any
) -> str:
    """Register it; its number. `start` is run where it is loaded; its example is answered as `promised`, by
    default as it will be.
    """
    code = f"PRICE = {price}\n" + CODE.replace("START", start)
    answer = {"value": price, "low": 1.0, "high": 6.0} | promised
    return register_constant(model_name, code=code, answer=answer, options=options)
