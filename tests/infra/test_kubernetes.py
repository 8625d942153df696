"""The RayService and what belongs to it: valid, strict, and saying what the code expects."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from importlib.metadata import version

import pytest
import yaml
from pydantic import ValidationError

from cluster.errors import InvalidField
from cluster.settings import environment_settings
from serve_apps.app import GATEWAY_APP
from serve_apps.prelabel.deployment import DRAIN_S_MAX, PRELABEL_APP
from tests.infra.manifests import (
    GROUPS,
    K8S,
    ROOT,
    documents,
    kubernetes_problems,
    labels_of_pods,
    mistakes,
    of_kind,
    pods,
    rayservice,
    rayservice_problems,
    serve_config,
)

needs_schemas = pytest.mark.skipif(
    "KUBERAY_SCHEMAS" not in os.environ,
    reason="KUBERAY_SCHEMAS names no folder with KubeRay's schemas (RayService.v1.json)",
)
needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="there is no kubectl, which builds the overlays"
)
PLACEHOLDER = re.compile(r"{{ \.\w+ }}")
GPU_GROUPS = ("gpu-spot", "gpu", "training")


@needs_schemas
def test_the_rayservice_is_one_of_kuberays() -> None:
    assert rayservice_problems(rayservice()) == []


@needs_schemas
def test_a_typo_in_any_key_of_the_rayservice_is_found() -> None:
    assert mistakes(rayservice(), rayservice_problems) == []


def test_every_other_document_is_one_of_kubernetes_and_a_typo_in_any_key_is_found() -> None:
    found = documents("base", "overlays/aws", "overlays/gcp")
    for document in [each for each in found if each["apiVersion"] in GROUPS]:
        name = f"{document['kind']} {document['metadata']['name']}"
        assert kubernetes_problems(document) == [], name
        # What a ConfigMap holds is settings, which are tested as such
        missed = mistakes(document, kubernetes_problems)
        assert [place for place in missed if place[0] != "data"] == [], name


def test_every_application_can_be_built_and_has_the_name_it_is_called_by() -> None:
    applications = {each["name"]: each for each in serve_config()["applications"]}
    assert set(applications) == {"core", PRELABEL_APP, GATEWAY_APP}
    for name, application in applications.items():
        module, _, builder = application["import_path"].partition(":")
        assert callable(getattr(import_module(module), builder)), name
    assert [name for name, each in applications.items() if each["route_prefix"]] == [GATEWAY_APP]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the pods have in their environment, by the ConfigMaps and the Secret."""
    for name in [name for name in os.environ if name.startswith("MUSTER_")]:
        monkeypatch.delenv(name)
    found: dict[str, str] = {}
    for document in of_kind("ConfigMap", "base", "overlays/aws"):
        found |= document["data"]
    (secret,) = of_kind("ExternalSecret")
    found |= {
        name: PLACEHOLDER.sub("of-forty-characters-from-the-cloud-store", value)
        for name, value in secret["spec"]["target"]["template"]["data"].items()
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return {name: value for name, value in found.items() if name.startswith("MUSTER_")}


def test_every_variable_is_a_setting_and_a_typo_in_any_is_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = environment_settings()
    assert settings.prelabel.gpus_per_replica == 1
    assert settings.allowed_roots
    assert settings.database.startswith("postgresql+psycopg://")
    for name, value in variables.items():
        with monkeypatch.context() as typo:
            typo.delenv(name)
            typo.setenv(f"{name}X", value)
            with pytest.raises((InvalidField, ValidationError)):
                environment_settings()


def test_nothing_of_a_pod_is_more_than_it_needs() -> None:
    for group, template in pods().items():
        pod = template["spec"]
        # Kubernetes would call its services MUSTER_…, and Muster refuses settings it does not know
        assert pod["enableServiceLinks"] is False, group
        assert pod["automountServiceAccountToken"] is (group == "head"), group
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["runAsNonRoot"], group
        assert security["readOnlyRootFilesystem"], group
        assert not security["allowPrivilegeEscalation"], group
        assert security["capabilities"] == {"drop": ["ALL"]}, group
        assert container["resources"]["requests"] == container["resources"]["limits"], group
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["path"].endswith("healthz"), group
        assert pod["terminationGracePeriodSeconds"] > DRAIN_S_MAX, group


@pytest.mark.usefixtures("variables")
def test_the_head_works_for_nobody_and_gpus_only_for_models() -> None:
    cluster = rayservice()["spec"]["rayClusterConfig"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert tuple(name for name in groups if name != "cpu") == GPU_GROUPS
    for name in GPU_GROUPS:
        pod = groups[name]["template"]["spec"]
        assert groups[name]["minReplicas"] == groups[name]["replicas"] == 0, name
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1", name
        assert groups[name]["rayStartParams"]["num-gpus"] == "1", name
        assert pod["tolerations"][0]["key"] == "nvidia.com/gpu", name
    settings = environment_settings()
    # Replicas ask for no CPUs and fit where there are none; training asks, and fits nowhere else
    assert settings.prelabel.cpus_per_replica == 0
    assert settings.learning.cpus_per_worker > 0
    for name in ("gpu-spot", "gpu"):
        assert groups[name]["rayStartParams"]["num-cpus"] == "0", name
    offered = float(groups["training"]["rayStartParams"]["num-cpus"])
    assert settings.learning.cpus_per_worker <= offered
    replicas = groups["gpu"]["maxReplicas"] + groups["gpu-spot"]["maxReplicas"]
    assert settings.prelabel.replicas_max == replicas


def test_versions_are_those_of_the_project() -> None:
    assert rayservice()["spec"]["rayClusterConfig"]["rayVersion"] == version("ray")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {
        group: template["spec"]["containers"][0]["image"] for group, template in pods().items()
    }
    for group, image in images.items():
        kind = "muster-cuda" if group in GPU_GROUPS else "muster"
        assert image == f"registry.example/{kind}:{project}", group


@pytest.mark.parametrize("kind", ["NetworkPolicy", "PodDisruptionBudget"])
def test_every_selector_finds_pods(kind: str) -> None:
    for document in of_kind(kind, "base", "overlays/aws", "overlays/gcp"):
        spec = document["spec"]
        selector = spec.get("selector", spec.get("podSelector"))
        wanted = selector.get("matchLabels", {}).items()
        found = [group for group, labels in labels_of_pods().items() if wanted <= labels.items()]
        assert found, document["metadata"]["name"]


def test_what_prometheus_looks_for_is_there() -> None:
    for document in [*of_kind("ServiceMonitor"), *of_kind("PodMonitor")]:
        spec = document["spec"]
        wanted = spec["selector"]["matchLabels"].items()
        assert any(wanted <= labels.items() for labels in labels_of_pods().values())
        for endpoint in spec.get("endpoints", spec.get("podMetricsEndpoints")):
            assert endpoint["port"] == "metrics"
    for group, template in pods().items():
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert "metrics" in ports, group


def test_training_waits_in_a_queue_that_has_room_for_all_of_it() -> None:
    queue = pods()["training"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"]
    (local,), (cluster,) = of_kind("LocalQueue"), of_kind("ClusterQueue")
    assert local["metadata"]["name"] == queue
    assert local["spec"]["clusterQueue"] == cluster["metadata"]["name"]
    (group,) = cluster["spec"]["resourceGroups"]
    quotas = {each["name"]: each["nominalQuota"] for each in group["flavors"][0]["resources"]}
    limits = pods()["training"]["spec"]["containers"][0]["resources"]["limits"]
    assert set(quotas) == set(limits) == set(group["coveredResources"])
    groups = rayservice()["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (most,) = [each["maxReplicas"] for each in groups if each["groupName"] == "training"]
    for name, quota in quotas.items():
        assert number(quota) == most * number(limits[name]), name


def test_only_the_head_and_whoever_evicts_it_on_purpose_can_end_it() -> None:
    budgets = {each["metadata"]["name"]: each["spec"] for each in of_kind("PodDisruptionBudget")}
    assert budgets["muster-head"]["maxUnavailable"] == 0
    assert pods()["head"]["spec"]["priorityClassName"] in {
        each["metadata"]["name"] for each in of_kind("PriorityClass")
    }


def test_all_is_denied_that_is_not_allowed() -> None:
    (deny,) = [
        each["spec"]
        for each in of_kind("NetworkPolicy")
        if each["spec"]["podSelector"] == {} and "ingress" not in each["spec"]
    ]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_rays_own_doors_ask_for_a_token() -> None:
    assert rayservice()["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}
    for group, template in pods().items():
        for container in template["spec"]["containers"]:
            if container["name"].startswith("ray"):
                named = {each["name"]: each.get("value") for each in container["env"]}
                assert named["RAY_AUTH_MODE"] == "token", group


@needs_kubectl
@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_an_overlay_is_the_base_and_what_only_its_cloud_knows(cloud: str) -> None:
    command = ["kubectl", "kustomize", str(K8S / "overlays" / cloud)]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(built)}
    own = {("SecretStore", "muster"), ("NetworkPolicy", "identity"), ("ConfigMap", "muster-site")}
    base = {(each["kind"], each["metadata"]["name"]) for each in documents("base")}
    assert set(found) == base | own | {("ConfigMap", "muster-database-ca")}
    if "KUBERAY_SCHEMAS" in os.environ:
        assert rayservice_problems(found["RayService", "muster"]) == []


def test_images_hold_every_package_run_as_nobody_and_differ_only_in_what_gpus_need() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    images = [
        (ROOT / "infra" / "images" / f"{kind}.Dockerfile").read_text().splitlines()
        for kind in ("cpu", "cuda")
    ]
    for lines in images:
        copied = {line.split()[1] for line in lines if line.startswith("COPY ")}
        assert packages - {"tests", "benchmarks", "examples", "scripts"} <= copied
        assert "USER 10001:10001" in lines
    cpu, cuda = ({line for line in lines if not line.startswith("#")} for lines in images)
    assert all("TORCH_INDEX" in line or "NVIDIA" in line for line in cpu ^ cuda)
    ids = {template["spec"]["securityContext"]["runAsUser"] for template in pods().values()}
    assert ids == {10001}


def number(quantity: str) -> float:
    """Return a quantity of Kubernetes in its unit."""
    return float(quantity.removesuffix("Gi"))
