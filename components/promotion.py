"""Promote and roll back: the challenger against the champion on the test rows, and the move of the alias.

Reads artifacts/curate/test.parquet, the answers of the constant baselines in artifacts/baseline/, and the
versions of the registry; writes nothing but the registry and, where asked for, the decision as JSON. No
stage: it depends on what is registered, which no graph of files knows. flows/promote.py runs it as a
process of its own:

    python -m components.promotion promote [--version 3] [--hold] [--out decision.json]
    python -m components.promotion rollback [--version 3] [--out decision.json]
    python -m components.promotion settle decision.json (--approved-by NAME | --declined WHY)

Whatever is refused or goes wrong, the champion stays.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components import aliases, stage, tracking
from components.aliases import CHALLENGER, CHAMPION, PREVIOUS
from components.gate import Budget, Decision, decide
from components.measures import Floats
from components.params import Promote, load
from components.records import PricewrightError

TEST = Path("artifacts/curate/test.parquet")
CONSTANTS = ("mean", "median")
"""Baselines that a first champion has to beat."""
INPUT = "description"
"""Column in which a version takes a text (components/serving.py)."""
PROBE = "Wireless headphones with noise cancelling"
MEASURED = ("test_mae", "test_sha256", "parity_rise")
"""Tags without which a version counts as not evaluated; components/register.py sets them."""


def propose(model_name: str, version: str | None, section: Promote) -> dict[str, Any]:
    """Ask challenger and champion afresh about the same test rows, and decide; nothing is moved yet.

    `version` is the challenger, by default the one that carries that alias. Without a champion the
    constant baselines stand in for it, each by the same test. Returns the decision record.

    Raises PricewrightError where the challenger is no version, was not evaluated or was registered with
    other test rows, or where one of the two cannot be fetched or does not answer.
    """
    named = tracking.aliases(model_name)
    champion, challenger = named.get(CHAMPION), version or named.get(CHALLENGER)
    if challenger is None:
        raise PricewrightError(f"{model_name} has no {CHALLENGER}: register one with `make run`")
    if challenger == champion:
        raise PricewrightError(f"{model_name} version {challenger} is the {CHAMPION} already")
    rows_hash = tracking.sha256(TEST) if TEST.is_file() else ""
    items = stage.read(TEST)
    tags = _evaluated(model_name, challenger, rows_hash)
    same_rows = None
    if champion is not None:
        same_rows = _existing(model_name, champion).get("test_sha256") == rows_hash
    answers, size = ask(model_name, challenger, items)
    if champion is None:
        rivals = _constants(items)
    else:
        rivals = {f"version {champion}": ask(model_name, champion, items)[0]["price"].to_numpy(float)}
    decision, rival = _hardest(items, answers, rivals, _budgets(items, answers, size, tags, section), section)
    return {
        **_entry("promote", model_name, challenger, champion),
        "verdict": decision.verdict,
        "against": rival,
        **{name: value for name, value in asdict(decision).items() if name != "verdict"},
        "mae_challenger": _mae(items, answers["price"].to_numpy(float)),
        "mae_against": _mae(items, rivals[rival]),
        "test_sha256": rows_hash,
        "champion_registered_with_these_rows": same_rows,
        "params": section.model_dump(),
    }


def settle(record: dict[str, Any]) -> None:
    """Keep the record and, where it says promoted, move the aliases.

    Raises PricewrightError where the champion is another one than it was when the record was made: of two
    promotions at once only the first can win.
    """
    name = record["model"]
    with aliases.locked(name):
        champion = tracking.aliases(name).get(CHAMPION)
        promoted = record["verdict"] == "promoted" and "declined" not in record
        if promoted and champion != record["champion"]:
            raise PricewrightError(
                f"the {CHAMPION} of {name} is version {champion} now; it was {record['champion'] or 'none'} "
                f"when version {record['version']} was judged. Promote again, to judge it against the new one"
            )
        moves = {CHAMPION: record["version"]} if promoted else {}
        if moves and champion is not None:
            moves = {PREVIOUS: champion, **moves}
        aliases.commit(name, record, moves)


def rollback(model_name: str, version: str | None) -> dict[str, Any]:
    """Make `version` (by default the `previous` one) champion again, once it has shown that it answers.

    Raises PricewrightError where it is none, is the champion already, or does not load and answer.
    """
    named = tracking.aliases(model_name)
    wanted = version or named.get(PREVIOUS)
    if wanted is None:
        raise PricewrightError(
            f"{model_name} has no {PREVIOUS} version to go back to: name one, `make rollback VERSION=n`"
        )
    if wanted == named.get(CHAMPION):
        raise PricewrightError(f"{model_name} version {wanted} is the {CHAMPION} already")
    ask(model_name, wanted, pd.DataFrame({"text": [PROBE]}))
    with aliases.locked(model_name):
        champion = tracking.aliases(model_name).get(CHAMPION)
        record = _entry("rollback", model_name, wanted, champion)
        record |= {"verdict": "rolled back", "reasons": ["it loads and answers"]}
        moves = {CHAMPION: wanted}
        if champion is not None and champion != wanted and _exists(model_name, champion):
            moves = {PREVIOUS: champion, **moves}
        aliases.commit(model_name, record, moves)
    return record


def ask(model_name: str, version: str, items: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """What a version answers to the column `text`: price, low and high in dollars, NaN where unreadable;
    and its size in bytes on the disk.

    Raises PricewrightError, naming the mend, where it cannot be fetched whole or does not answer every row.
    """
    tracking.version_tags(model_name, version)
    print(f"asking {model_name} version {version} for {len(items)} prices", file=sys.stderr, flush=True)
    try:
        with tracking.fetched(model_name, version) as folder:
            size = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
            answers = tracking.predict(folder, pd.DataFrame({INPUT: items["text"].tolist()}))
    except PricewrightError as error:
        raise PricewrightError(f"{model_name} version {version}: {error}. {_stays(model_name)}") from error
    if len(answers) != len(items) or not {"price", "low", "high"} <= set(answers.columns):
        raise PricewrightError(
            f"{model_name} version {version} gave {len(answers)} answers with the columns "
            f"{', '.join(map(str, answers.columns))} to {len(items)} rows; price, low and high are needed. "
            + _stays(model_name)
        )
    prices = answers[["price", "low", "high"]].astype(float)
    return prices.where(np.isfinite(prices)), size


# --- the parts of a proposal -------------------------------------------------------------------------


def _evaluated(model_name: str, version: str, rows_hash: str) -> dict[str, str]:
    """The tags of a challenger that was evaluated on the very rows that are here."""
    tags = tracking.version_tags(model_name, version)
    if missing := [name for name in MEASURED if name not in tags]:
        raise PricewrightError(
            f"{model_name} version {version} was registered without an evaluation (no {', '.join(missing)}): "
            "register it anew with `dvc repro -f register`"
        )
    if not re.fullmatch(r"-?\d+(\.\d+)?|nan", tags["parity_rise"]):
        raise PricewrightError(
            f"the tag parity_rise of {model_name} version {version} is {tags['parity_rise']!r}, no number of "
            "dollars: register it anew with `dvc repro -f register`"
        )
    if rows_hash and tags["test_sha256"] != rows_hash:
        raise PricewrightError(
            f"{model_name} version {version} was registered with other test rows than {TEST} holds (SHA-256 "
            f"{tags['test_sha256'][:12]}, here {rows_hash[:12]}): `make run` registers one for these, or "
            "bring its own back with `git checkout` of its commit and `dvc checkout`"
        )
    return tags


def _budgets(
    items: pd.DataFrame, answers: pd.DataFrame, size: int, tags: dict[str, str], section: Promote
) -> list[Budget]:
    held = items["price"].to_numpy(float)
    answered = answers["low"].notna().to_numpy()
    inside = (held >= answers["low"].to_numpy()) & (held <= answers["high"].to_numpy())
    coverage = float(inside[answered].mean()) if answered.any() else float("nan")
    return [
        Budget("coverage of the interval", coverage, section.coverage_min, section.coverage_max),
        Budget("size in MB", size / 1e6, at_most=section.size_max_mb),
        Budget("parity (rise of the MAE)", float(tags["parity_rise"]), at_most=section.parity_rise_max),
    ]


def _hardest(
    items: pd.DataFrame,
    answers: pd.DataFrame,
    rivals: dict[str, Floats],
    budgets: list[Budget],
    section: Promote,
) -> tuple[Decision, str]:
    """The decision against the rival that is hardest to beat, and that rival's name."""
    true, challenger = items["price"].to_numpy(float), answers["price"].to_numpy(float)
    decisions = {
        rival: decide(
            true,
            challenger,
            prices,
            minimum_effect=section.minimum_effect,
            error_rate=section.error_rate,
            power=section.power,
            rows_min=section.rows_min,
            bootstrap=section.bootstrap,
            seed=section.seed,
            unparsed_share_max=section.unparsed_share_max,
            budgets=budgets,
        )
        for rival, prices in rivals.items()
    }
    hardest = min(decisions, key=lambda name: _or_lowest(decisions[name].low))
    return decisions[hardest], hardest


def _constants(items: pd.DataFrame) -> dict[str, Floats]:
    """What the constant baselines said of these rows."""
    path = Path("artifacts/baseline/predictions.parquet")
    rows = stage.read(path)
    found = {}
    for name in CONSTANTS:
        own = rows[rows["candidate"] == name].drop_duplicates("id").set_index("id")["predicted"]
        if not items["id"].isin(own.index).all():
            raise PricewrightError(f"{path} has no answer of {name} to some test rows: run `dvc repro`")
        found[f"baseline {name}"] = own.reindex(items["id"]).to_numpy(float)
    return found


def _entry(kind: str, model_name: str, version: str, champion: str | None) -> dict[str, Any]:
    """What every record begins with: who, when, which versions, by which code."""
    now = datetime.now(UTC)
    return {
        "id": f"{now:%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}",
        "kind": kind,
        "when": now.isoformat(timespec="seconds"),
        "by": os.environ.get("PRICEWRIGHT_BY") or getpass.getuser(),
        "model": model_name,
        "version": version,
        "champion": champion,
        **tracking.git_state(),
    }


def _existing(model_name: str, champion: str) -> dict[str, str]:
    """The tags of the champion. It may have been registered with other rows: it is asked afresh anyway."""
    try:
        return tracking.version_tags(model_name, champion)
    except tracking.MissingVersionError as error:
        raise PricewrightError(
            f"the alias {CHAMPION} of {model_name} points to version {champion}, which is deleted: give it "
            "to a version that there is with `make rollback VERSION=n`, then promote"
        ) from error


def _exists(model_name: str, version: str) -> bool:
    try:
        tracking.version_tags(model_name, version)
    except tracking.MissingVersionError:
        return False
    return True


def _stays(model_name: str) -> str:
    champion = tracking.aliases(model_name).get(CHAMPION)
    return f"The {CHAMPION} stays version {champion}." if champion else f"There is still no {CHAMPION}."


def _mae(items: pd.DataFrame, prices: Floats) -> float | None:
    errors = np.abs(prices - items["price"].to_numpy(float))
    return None if np.isnan(errors).all() else round(float(np.nanmean(errors)), 4)


def _or_lowest(value: float | None) -> float:
    return float("-inf") if value is None else value


# --- the command line --------------------------------------------------------------------------------


def main() -> None:
    """Do what the command line says; exit code 1 with one line where it is refused."""
    arguments = _parser().parse_args()
    try:
        params = load()
        name = params.register.model_name
        with tracking.registry():
            if arguments.action == "settle":
                record = _settled(arguments)
            else:
                with aliases.locked(name):
                    pass  # what an interrupted call left half done is done before anything is read
                if arguments.action == "rollback":
                    record = rollback(name, arguments.version)
                else:
                    record = propose(name, arguments.version, params.promote)
                    if not (arguments.hold and record["verdict"] == "promoted"):
                        settle(record)
        text = json.dumps(record, indent=2)
        if arguments.out:
            arguments.out.write_text(text + "\n", encoding="utf-8")
        else:
            print(text)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None


def _settled(arguments: argparse.Namespace) -> dict[str, Any]:
    """A proposal that was held, settled by what a person said of it."""
    record: dict[str, Any] = json.loads(arguments.record.read_text(encoding="utf-8"))
    if arguments.declined:
        record["declined"] = arguments.declined
    else:
        record["approved_by"] = arguments.approved_by
    settle(record)
    return record


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m components.promotion")
    actions = parser.add_subparsers(dest="action", required=True)
    for action, help_text in (("promote", "judge a challenger"), ("rollback", "go back to a version")):
        sub = actions.add_parser(action, help=help_text)
        sub.add_argument("--version", help="version number")
        sub.add_argument("--out", type=Path, help="file for the decision record")
        if action == "promote":
            sub.add_argument("--hold", action="store_true", help="decide, but leave the move to settle")
    sub = actions.add_parser("settle", help="approve or decline what was held")
    sub.add_argument("record", type=Path)
    sub.add_argument("--out", type=Path)
    said = sub.add_mutually_exclusive_group(required=True)
    said.add_argument("--approved-by")
    said.add_argument("--declined")
    return parser


if __name__ == "__main__":
    main()
