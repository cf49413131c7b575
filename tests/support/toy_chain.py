"""A chain in a real DVC repository that trains in seconds: real listings, curation and registry, a toy model.

The stages scrape and curate are the project's own; the model knows the median price of each brand, by which
it is registered with the evidence that the gate and the lineage read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from components.core import intakes, tracking
from components.synthetic.catalogue import Product, catalogue
from components.synthetic.market import write_list
from tests.support.project import ROOT
from tests.support.registry import EVIDENCE

SHOP = Path("data/shop.jsonl")
LISTINGS = 400
TRAIN = """
import json
from pathlib import Path
import numpy as np, pandas as pd, yaml
from components.core.schemas import SPLITS

def brand(text):
    return text.split()[0] if text else ""

splits = {name: pd.read_parquet(f"artifacts/curate/{name}.parquet") for name in SPLITS}
known = pd.concat([splits["train"], splits["preference"]])
width = 3.0 * float(yaml.safe_load(Path("params.yaml").read_text())["evaluate"]["interval"])
log = np.log(known["target"])
level = {"": float(log.median()), **log.groupby(known["text"].map(brand)).median().to_dict()}
served = Path("artifacts/train")
served.mkdir(parents=True, exist_ok=True)
Path(served, "model.json").write_text(json.dumps({"level": level, "width": width}))
rows = pd.concat(splits.values())
answers = rows.assign(candidate="mean", predicted=5000.0, loss=(rows["target"] - 5000).abs())
Path("artifacts/baseline").mkdir(exist_ok=True)
answers.to_parquet("artifacts/baseline/predictions.parquet", index=False)
"""
REGISTER = """
import json
from pathlib import Path
import pandas as pd
import toy
from components.core import registry, tracking
tracking.connect()
example = pd.DataFrame({"description": ["Lumo lamp"]})
with tracking.stage_run("register", {}, "toy") as run:
    number = registry.register_version(
        run.id, "pricer", data_path=Path("artifacts/train"), loader_module="toy", code_path=Path("toy.py"),
        example=example, answer=toy._load_pyfunc("artifacts/train").predict(example),
        options={"point": "median"}, requirements=["pandas"],
        evidence=[Path(name) for name in EVIDENCE], card="# A card",
        tags={"gate_sha256": registry.sha256(Path("artifacts/curate/gate.parquet"))},
    )
registry.set_alias("pricer", registry.CHALLENGER, number)
Path("reports").mkdir(exist_ok=True)
Path("reports/register.json").write_text(json.dumps({"version": number}))
"""
TOY = """
import json, math
from pathlib import Path
import pandas

class Model:
    def __init__(self, level, width):
        self.level, self.width = level, width

    def predict(self, rows, params=None):
        logs = [self.level.get(text.split()[0], self.level[""]) for text in rows["description"]]
        ends = {"value": 0.0, "low": -self.width / 2, "high": self.width / 2}
        return pandas.DataFrame({name: [math.exp(log + end) for log in logs] for name, end in ends.items()})

def _load_pyfunc(path):
    folder = Path(path)
    return Model(**json.loads((folder / "model.json").read_text()))
"""
STAGES: dict[str, Any] = {
    "scrape": {
        "cmd": "python -m components.scrape",
        "params": ["scrape"],
        "deps": ["data"],
        "outs": ["artifacts/scrape"],
        "metrics": ["reports/scrape.json"],
    },
    "curate": {
        "cmd": "python -m components.curate",
        "params": ["curate"],
        "deps": ["artifacts/scrape/listings.parquet", "intakes.csv"],
        "outs": ["artifacts/curate"],
        "metrics": ["reports/curate.json"],
    },
    "train": {
        "cmd": "python train.py",
        "params": ["evaluate.interval"],
        "deps": ["artifacts/curate", "train.py"],
        "outs": ["artifacts/train", "artifacts/baseline"],
    },
    "register": {
        "cmd": "python register.py",
        "deps": ["artifacts/curate", "artifacts/train", "register.py", "toy.py"],
        "metrics": ["reports/register.json"],
    },
}


def write_toy_chain(folder: Path, empty_store: Path, **sections: dict[str, Any]) -> None:
    """Put the chain into `folder`, with a shop of LISTINGS and `sections` changed in params.yaml."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["scrape"] |= {"source": "files"}
    raw["scrape"]["files"] |= {"paths": [str(SHOP)]}
    raw["scrape"]["files"]["columns"] |= {"id": "id", "brand": "brand", "details": "details"}
    raw["promote"] |= {"minimum_effect": 1.0, "rows_min": 20, "coverage_min": 0.5, "coverage_max": 1.0}
    for name, changed in sections.items():
        raw[name] |= changed
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    files = [*EVIDENCE, "dvc.lock", "dvc.yaml", "params.yaml"]
    (folder / "register.py").write_text(f"EVIDENCE = {files}\n{REGISTER}")
    (folder / "train.py").write_text(TRAIN)
    (folder / "toy.py").write_text(TOY)
    for name, report in EVIDENCE.items():
        (folder / name).write_text(json.dumps(report))
    (folder / ".dvcignore").write_text("mlruns\n")  # where there is git, it is ignored by that
    shutil.copy(empty_store, folder / "mlflow.db")
    intakes.write({}, folder / "intakes.csv")
    (folder / "artifacts").mkdir()
    write_list(folder / SHOP, 11, LISTINGS, 0.25, 1.0)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)


def products() -> list[Product]:
    """What the shop sells."""
    return [product for product in catalogue(11, LISTINGS, 0.25) if product.price]


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process and those that it starts work in the folder, with this project's code."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PRICEWRIGHT_BY", "tester")
    tracking.connect()


def curated() -> pd.DataFrame:
    """All curated rows, by id."""
    return pd.concat(
        [
            pd.read_parquet(path)
            for path in Path("artifacts/curate").glob("*.parquet")
            if path.stem != "rejects"
        ]
    ).set_index("id")
