"""A registered version whose own code looks for keys: its price is the number of those that it can see."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.constant import register_constant

KEY = "a-key-of-the-team"
NAMES = ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "PREFECT_API_AUTH_STRING", "HF_TOKEN", "SOMEBODYS_OWN")
KEYS = dict.fromkeys(NAMES, KEY) | {"HTTPS_PROXY": f"http://me:{KEY}@proxy.example:3128"}
CODE = """
import os
from pathlib import Path
import pandas

Path(MARKER).touch()

class Model:
    def predict(self, rows, params=None):
        keys = float(sum(KEY in value for value in os.environ.values()))
        return pandas.DataFrame({"value": keys, "low": 0.0, "high": 1.0}, index=range(len(rows)))

def _load_pyfunc(path):
    return Model()
"""


def register_nosy(model_name: str, marker: Path) -> str:
    """Register it with the store of this process; its number. `marker` is there once its code has run."""
    constants = f"MARKER, KEY = {os.fspath(marker)!r}, {KEY!r}\n"
    answer = {"value": 0.0, "low": 0.0, "high": 1.0}
    number = register_constant(model_name, code=constants + CODE, answer=answer)
    marker.unlink(missing_ok=True)
    return number
