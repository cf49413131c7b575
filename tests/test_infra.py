"""The image and the compose file, by validators and by what a team relies on: loopback, no secret, pinned."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_pydantic.models import ComposeSpecification
from pydantic import ValidationError

from tests.support.project import ROOT

INFRA = ROOT / "infra"
TOOLS = Path(sys.executable).parent
Compose = dict[str, Any]

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<rule>:[-?])?(?P<rest>[^}]*)\}")
IMAGE = re.compile(r"[\w./-]+:(?P<tag>[\w.-]+)(?P<digest>@sha256:[0-9a-f]{64})?")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|AUTH_STRING")
YAMLLINT = """
extends: default
rules:
  comments: {min-spaces-from-content: 1}
  document-start: disable
  indentation: {indent-sequences: whatever}
  line-length: {max: 120}
"""
TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


@pytest.fixture
def compose() -> Compose:
    return yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))


def _faults(compose: Compose) -> list[str]:
    """What a team could not live with, one line each."""
    services: Compose = compose["services"]
    return [
        f"{name}: {fault}"
        for name, service in services.items()
        for fault in [
            *_port_faults(service),
            *_image_faults(service),
            *_secret_faults(service),
            *_confinement_faults(service),
            *_network_faults(name, service, services),
            *_order_faults(name, service, services),
        ]
    ]


def _port_faults(service: Compose) -> list[str]:
    return [
        f"port {port} is open beyond loopback"
        for port in service.get("ports", [])
        if not str(port).startswith("127.0.0.1:")
    ] + (["shares the host's network"] if service.get("network_mode") == "host" else [])


def _image_faults(service: Compose) -> list[str]:
    name = service.get("image", "")
    image = IMAGE.fullmatch(name)
    if image is None or image["tag"] == "latest" or not re.search(r"\d", image["tag"]):
        return [f"image {name} names no version"]
    built = "build" in service or service.get("pull_policy") == "never"
    return [] if built or image["digest"] else [f"image {name} has no digest"]


def _secret_faults(service: Compose) -> list[str]:
    environment = service.get("environment", {})
    inline = [
        f"{key} is not taken from the environment"
        for key, value in environment.items()
        if SECRET.search(key) and not re.fullmatch(r"\$\{\w+:\?.+\}", str(value))
    ]
    text = yaml.safe_dump([environment, service.get("command")], width=10_000)
    return inline + [f"a password in {url}" for url in re.findall(r"\w+://[^\s/@]*:[^\s/@?]+@", text)]


def _confinement_faults(service: Compose) -> list[str]:
    faults = [] if service.get("cap_drop") == ["ALL"] else ["keeps capabilities"]
    if "no-new-privileges:true" not in service.get("security_opt", []):
        faults.append("may gain privileges")
    limits = {"mem_limit": "memory", "pids_limit": "processes"}
    return faults + [f"has no limit of {what}" for key, what in limits.items() if not service.get(key)]


def _network_faults(name: str, service: Compose, services: Compose) -> list[str]:
    """The worker, which runs what others wrote, has no way to the database."""
    if not service.get("networks"):
        return ["is on the default network, with everybody"]
    shared = set(service["networks"]) & set(services["postgres"].get("networks", []))
    return [f"reaches postgres by {shared.pop()}"] if name == "worker" and shared else []


def _keys(compose: Compose) -> dict[str, tuple[str, list[str]]]:
    """Name of each identity of the store to its key and to what it may do."""
    content = json.loads(compose["configs"]["s3"]["content"])
    return {
        identity["name"]: (identity["credentials"][0]["accessKey"], identity["actions"])
        for identity in content["identities"]
    }


def _order_faults(name: str, service: Compose, services: Compose) -> list[str]:
    faults = []
    for above, how in service.get("depends_on", {}).items():
        if above not in services:
            faults.append(f"depends on {above}, which is no service")
        elif how["condition"] == "service_healthy" and "healthcheck" not in services[above]:
            faults.append(f"waits for the health of {above}, which has no check")
    waited_to_end = any(
        other.get("depends_on", {}).get(name, {}).get("condition") == "service_completed_successfully"
        for other in services.values()
    )
    if not waited_to_end and not service.get("healthcheck", {}).get("test"):
        faults.append("stays up, but has no health check")
    return faults


def _interpolated(compose: Compose) -> Compose:
    def fill(match: re.Match[str]) -> str:
        return match["rest"] if match["rule"] == ":-" else "filled-in"

    return yaml.safe_load(VARIABLE.sub(fill, yaml.safe_dump(compose, width=10_000)))


def _validate(compose: Compose) -> None:
    """Against the compose specification; its `x-` extensions are ours to fill, the model knows none."""
    known = {key: value for key, value in _interpolated(compose).items() if not key.startswith("x-")}
    for config in known.get("configs", {}).values():
        config.pop("content", None)  # of Compose 2.23; the model is older
    ComposeSpecification.model_validate(known)


def _variables(text: str) -> set[str]:
    return {match["name"] for match in VARIABLE.finditer(text)}


def _example() -> dict[str, str]:
    lines = (INFRA / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)


# --- validators --------------------------------------------------------------------------------------


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = _run(TOOLS / "hadolint", "--no-color", "infra/Dockerfile")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.parametrize(
    "path",
    ["infra/compose.yaml", "dvc.yaml", "params.yaml", "prefect.yaml"],
    ids=lambda path: Path(path).name,
)
def test_yamllint_finds_nothing_in_a_yaml_file(path: str) -> None:
    done = _run(TOOLS / "yamllint", "--strict", "--config-data", YAMLLINT, path)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_follows_the_compose_specification(compose: Compose) -> None:
    _validate(compose)


def test_the_validator_of_the_compose_file_refuses_a_misspelt_key(compose: Compose) -> None:
    compose["services"]["s3"]["healthchek"] = compose["services"]["s3"].pop("healthcheck")
    with pytest.raises(ValidationError, match="healthchek"):
        _validate(compose)


def test_docker_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    if not shutil.which("docker") or _run("docker", "compose", "version").returncode != 0:
        pytest.skip(
            "docker's compose plugin is not installed; the specification's model has checked the file"
        )
    settings = tmp_path / "env"
    settings.write_text("".join(f"{key}={value or 'filled-in'}\n" for key, value in _example().items()))
    file = ("--file", "infra/compose.yaml", "--env-file", str(settings))
    done = _run("docker", "compose", *file, "config", "--quiet")
    assert done.returncode == 0, done.stderr


# --- what a team relies on ---------------------------------------------------------------------------


def test_the_compose_file_is_on_loopback_pinned_without_secrets_and_in_order(compose: Compose) -> None:
    assert _faults(compose) == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda s: s["mlflow"].update(ports=["5000:5000"]), "mlflow: port 5000:5000 is open beyond loopback"),
        (lambda s: s["s3"].update(network_mode="host"), "s3: shares the host's network"),
        (
            lambda s: s["s3"].update(image="chrislusf/seaweedfs"),
            "s3: image chrislusf/seaweedfs names no version",
        ),
        (lambda s: s["s3"].update(image="store:latest"), "s3: image store:latest names no version"),
        (lambda s: s["s3"].update(image="store:4.47"), "s3: image store:4.47 has no digest"),
        (lambda s: s["mlflow"].update(pull_policy="always"), "mlflow: image pricewright:0.1.0 has no digest"),
        (
            lambda s: s["postgres"]["environment"].update(POSTGRES_PASSWORD="${POSTGRES_PASSWORD:-postgres}"),
            "postgres: POSTGRES_PASSWORD is not taken from the environment",
        ),
        (
            lambda s: s["mlflow"]["command"].append(
                "--backend-store-uri=postgresql://me:secret@postgres/mlflow"
            ),
            "mlflow: a password in postgresql://me:secret@",
        ),
        (lambda s: s["postgres"].pop("cap_drop"), "postgres: keeps capabilities"),
        (lambda s: s["s3"].pop("security_opt"), "s3: may gain privileges"),
        (lambda s: s["mlflow"].pop("mem_limit"), "mlflow: has no limit of memory"),
        (lambda s: s["prefect"].pop("pids_limit"), "prefect: has no limit of processes"),
        (lambda s: s["worker"].update(networks=["servers", "stores"]), "worker: reaches postgres by stores"),
        (lambda s: s["s3"].pop("networks"), "s3: is on the default network, with everybody"),
        (lambda s: s.pop("prefect"), "worker: depends on prefect, which is no service"),
        (lambda s: s["worker"].pop("healthcheck"), "worker: stays up, but has no health check"),
        (
            lambda s: s["postgres"].pop("healthcheck"),
            "mlflow: waits for the health of postgres, which has no check",
        ),
    ],
)
def test_each_fault_of_a_compose_file_is_found(
    compose: Compose, spoil: Callable[[Compose], object], fault: str
) -> None:
    spoilt = copy.deepcopy(compose)
    spoil(spoilt["services"])
    assert fault in _faults(spoilt)


def test_every_variable_of_the_compose_file_is_in_the_example_and_the_other_way_round() -> None:
    lines = (INFRA / "compose.yaml").read_text(encoding="utf-8").splitlines()
    used = _variables("\n".join(line for line in lines if not line.lstrip().startswith("#")))
    assert used == set(_example())


def test_the_example_holds_no_secret() -> None:
    assert [key for key, value in _example().items() if SECRET.search(key) and value] == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git repository")
def test_git_ignores_the_filled_in_example() -> None:
    assert _run("git", "check-ignore", "--quiet", "infra/.env").returncode == 0


def test_every_mounted_file_of_the_compose_file_exists(compose: Compose) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    own = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert own
    assert [path for path in own if not (INFRA / path).exists()] == []
    assert os.access(INFRA / "postgres-init.sh", os.X_OK)


def test_the_job_makes_the_bucket_that_mlflow_writes_to(compose: Compose) -> None:
    made = compose["services"]["buckets"]["command"][2:]
    destinations = [
        word for word in compose["services"]["mlflow"]["command"] if "artifacts-destination" in word
    ]
    assert destinations == ["--artifacts-destination=s3://mlflow"]
    assert made == ["mlflow", "dvc"]


def test_the_keys_of_the_worker_and_of_mlflow_open_their_own_bucket_alone(compose: Compose) -> None:
    keys, services = _keys(compose), compose["services"]
    for service, bucket in (("worker", "dvc"), ("mlflow", "mlflow")):
        key, actions = keys[bucket]
        assert services[service]["environment"]["AWS_ACCESS_KEY_ID"] == key
        assert {action.partition(":")[2] for action in actions} == {bucket}
    assert services["buckets"]["environment"]["AWS_ACCESS_KEY_ID"] == keys["admin"][0]
    assert len({key for key, _ in keys.values()}) == 3
    assert not SECRET.search(str(services["s3"].get("environment", {})))  # a key there would be one of all


def test_prefect_asks_for_a_login_and_for_tokens_and_answers_its_own_page_alone(compose: Compose) -> None:
    server, worker = (compose["services"][name]["environment"] for name in ("prefect", "worker"))
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == worker["PREFECT_API_AUTH_STRING"]
    assert server["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    page = server["PREFECT_SERVER_UI_API_URL"].removesuffix("/api")
    assert server["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].split(",") == [
        page,
        page.replace("127.0.0.1", "localhost"),
    ]


def test_the_worker_polls_the_pool_of_the_deployments(compose: Compose) -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    pools = {deployment["work_pool"]["name"] for deployment in deployments}
    assert [f"--pool={pool}" for pool in pools] == [
        word for word in compose["services"]["worker"]["command"] if word.startswith("--pool")
    ]


def test_the_image_starts_from_a_pinned_base_and_ends_as_an_ordinary_user() -> None:
    lines = (INFRA / "Dockerfile").read_text(encoding="utf-8").splitlines()
    [base] = [line.removeprefix("FROM ") for line in lines if line.startswith("FROM ")]
    assert _image_faults({"image": base}) == []
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000"]


def test_the_image_installs_the_libraries_before_it_copies_the_source() -> None:
    text = (INFRA / "Dockerfile").read_text(encoding="utf-8")
    steps = ["COPY pyproject.toml constraints.txt", "--constraint constraints.txt", ". .\n", "--no-deps"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_telemetry_is_off_by_one_file_in_the_package_the_makefile_and_every_service_of_ours(
    compose: Compose,
) -> None:
    ours = [name for name, service in compose["services"].items() if "pricewright" in service["image"]]
    assert {compose["services"][name]["env_file"] for name in ours} == {"../components/core/telemetry.env"}
    clean = {key: value for key, value in os.environ.items() if key not in TELEMETRY}
    shown = "--eval=show:;@env"
    lines = subprocess.run(
        ["make", shown, "show"], cwd=ROOT, env=clean, capture_output=True, text=True, check=True
    )
    assert {f"{key}={value}" for key, value in TELEMETRY.items()} <= set(lines.stdout.splitlines())
    code = "import json, os, components; print(json.dumps(dict(os.environ)))"
    environment = subprocess.run(
        [sys.executable, "-c", code], env=clean, cwd=ROOT, capture_output=True, check=True
    )
    assert {key: yaml.safe_load(environment.stdout)[key] for key in TELEMETRY} == TELEMETRY


def test_the_image_is_built_from_what_is_named_and_every_name_exists() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    first, *named = [line for line in lines if line and not line.startswith("#")]
    assert first == "*", "all that is not named stays out: secrets, caches, a run's outputs"
    assert not [name for name in named if ".env" in name]
    made_by_a_run = {"dvc.lock"}
    included = {name[1:].rstrip("/") for name in named if name.startswith("!")} - made_by_a_run
    assert [name for name in sorted(included) if not (ROOT / name).exists()] == []
    project = {
        "components",
        "flows",
        "pyproject.toml",
        "constraints.txt",
        "params.yaml",
        "dvc.yaml",
        "README.md",
    }
    assert project <= included
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    needed = {path for stage in stages for path in stage["deps"]}
    made = ("artifacts/", "reports/", "data")  # by a stage, or by whoever has data: the folder is there
    folders = {path.split("/")[0] for path in needed if not path.startswith(made)}
    assert folders <= included


def test_the_docs_name_every_variable_that_switches_a_clone_to_the_servers() -> None:
    text = (ROOT / "docs" / "team.md").read_text(encoding="utf-8")
    switches = {
        "MLFLOW_TRACKING_URI",
        "MLFLOW_S3_ENDPOINT_URL",
        "PREFECT_API_URL",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "dvc remote add",
    }
    assert [word for word in sorted(switches) if word not in text] == []
