"""What `deploy/` holds is what Kubernetes and systemd take, and what the database answers to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import kubernetes_validate
import msgspec
import pytest
import yaml

from postmill.cli.main import root

if TYPE_CHECKING:
    from tests.sql.asking import Database

DEPLOY = Path(__file__).parents[2] / "deploy"
VERSION = "1.37"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OF_KEDA = "keda.sh/"
"""Kinds that Kubernetes learns from KEDA, and of which its schema knows nothing."""


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


OWN = [
    pytest.param(each, id=f"{path.stem}-{each['kind']}")
    for path in MANIFESTS
    for each in documents(path)
    if not each["apiVersion"].startswith(OF_KEDA)
]


@pytest.mark.parametrize("manifest", OWN)
def test_kubernetes_knows_every_field(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    (manifest,) = documents(DEPLOY / "kubernetes" / "worker.yaml")
    manifest["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSION, strict=True)


class OfKeda(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The fields of KEDA's own kinds that are used here, by their rules; any other is refused. Written after
    KEDA's reference for 2.22, keda.sh/docs: "ScaledObject specification", "Authentication", "PostgreSQL".
    """


Count = Annotated[int, msgspec.Meta(ge=0)]


class Reference(OfKeda):
    name: str


class Asked(OfKeda):
    query: str
    target_query_value: str
    activation_target_query_value: str = "0"


class Trigger(OfKeda):
    type: Literal["postgresql"]
    metadata: Asked
    metric_type: Literal["AverageValue", "Value"] = "AverageValue"
    authentication_ref: Reference | None = None


class Fallback(OfKeda):
    failure_threshold: Count
    replicas: Count
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"] = (
        "static"
    )


class Scaled(OfKeda):
    scale_target_ref: Reference
    triggers: list[Trigger]
    polling_interval: Count = 30
    cooldown_period: Count = 300
    min_replica_count: Count = 0
    max_replica_count: Count = 100
    fallback: Fallback | None = None


class OfSecret(OfKeda):
    parameter: str
    name: str
    key: str


class Authentication(OfKeda):
    secret_target_ref: list[OfSecret]


def check_keda(manifest: dict[str, Any]) -> None:
    kinds = {"ScaledObject": Scaled, "TriggerAuthentication": Authentication}
    msgspec.convert(manifest["spec"], kinds[manifest["kind"]])


def test_keda_knows_every_field() -> None:
    for manifest in documents(DEPLOY / "kubernetes" / "keda.yaml"):
        assert manifest["apiVersion"] == f"{OF_KEDA}v1alpha1"
        check_keda(manifest)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("poolingInterval",), 10),
        (("maxReplicaCount",), "20"),
        (("fallback", "behaviour"), "static"),
        (("triggers", 0, "metricType"), "Average"),
        (("triggers", 0, "metadata", "targetQueryValue"), 1),
    ],
)
def test_a_field_that_keda_does_not_know_is_found(path: tuple[Any, ...], value: object) -> None:
    _, scaled = documents(DEPLOY / "kubernetes" / "keda.yaml")
    place = scaled["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(msgspec.ValidationError):
        check_keda(scaled)


def commands() -> list[list[str]]:
    """The arguments of every `postmill` that a manifest runs."""
    containers: list[dict[str, Any]] = []
    for path in MANIFESTS:
        for each in documents(path):
            spec = each["spec"].get("jobTemplate", each).get("spec", {})
            containers += spec.get("template", {}).get("spec", {}).get("containers", [])
    return [container["args"] for container in containers]


def test_every_command_can_be_parsed() -> None:
    found = commands()
    assert len(found) == 2
    for program, *arguments in found:
        assert program == "postmill"
        group, name, *rest = arguments
        with root.make_context("postmill", [group, name]) as context:
            command = root.get_command(context, group).get_command(context, name)  # type: ignore[union-attr]
            command.make_context(name, rest, parent=context)


def test_keda_asks_what_the_database_answers(db: Database) -> None:
    authentication, scaled = documents(DEPLOY / "kubernetes" / "keda.yaml")
    (trigger,) = scaled["spec"]["triggers"]
    asked = trigger["metadata"]
    assert (trigger["type"], trigger["metricType"]) == ("postgresql", "AverageValue")
    assert asked["targetQueryValue"] == "1", "the answer is a number of workers"
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    (worker,) = documents(DEPLOY / "kubernetes" / "worker.yaml")
    assert scaled["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    db.execute(b"select postmill.create_queue('emails')")
    db.execute(b"select postmill.send('emails', '1') from generate_series(1, 75)")
    (answer,) = db.execute(asked["query"].encode()).fetchall()
    assert list(answer.values()) == [2]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """A copy whose program is there, since systemd looks for that too."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for name in ("postmill@.service", "postmill.service"):
        text = (DEPLOY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/srv/postmill/venv/bin/postmill", "/bin/true"))
        done = subprocess.run(
            [analyze, "verify", tmp_path / name], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
