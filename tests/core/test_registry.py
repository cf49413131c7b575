"""What several processes do to one registry at the same moment, in a real SQLite store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.core import registry, tracking

NAME = "pricer"


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    """A registered model from before there were logs of decisions, with one version."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    tracking.connect()
    MlflowClient().create_registered_model(NAME)
    MlflowClient().create_model_version(NAME, str(tmp_path / "model"))


def test_an_alias_that_another_process_inserts_in_between_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts, write = [], MlflowClient.set_registered_model_alias

    def refused_at_first(client: MlflowClient, name: str, alias: str, version: str) -> None:
        attempts.append(version)
        if len(attempts) == 1:
            raise MlflowException("UNIQUE constraint failed: registered_model_aliases.name")
        write(client, name, alias, version)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", refused_at_first)
    registry.set_alias(NAME, "champion", "1")
    assert registry.aliases(NAME) == {"champion": "1"}


def test_a_tag_that_cannot_be_written_at_all_is_an_error() -> None:
    with pytest.raises(MlflowException, match="not found"):
        registry.tag_model("nobody", "name", "value")


@pytest.mark.parametrize("name", [NAME, "a new model"])
def test_of_the_logs_that_two_clones_propose_at_once_one_is_kept(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The second clone does all its steps between the first one's look for a log and its own proposal."""
    propose, logs = tracking.create_log, []

    def interrupted(title: str) -> str:
        monkeypatch.setattr(tracking, "create_log", propose)
        logs.append(registry.decision_log(name))
        return propose(title)

    monkeypatch.setattr(tracking, "create_log", interrupted)
    logs.append(registry.decision_log(name))
    logs.append(registry.decision_log(name))
    assert len(set(logs)) == 1


def test_a_log_lets_no_entry_be_overwritten() -> None:
    log = registry.decision_log(NAME)
    assert tracking.append_once(log, "decision.1", "first")
    assert not tracking.append_once(log, "decision.1", "second")
    assert tracking.read_log(log) == {"decision.1": "first"}
    with pytest.raises(ValueError, match="the store keeps 6000"):
        tracking.append_once(log, "decision.2", "x" * 6001)
