#!/usr/bin/env python3
"""Checks the manifests: renders every overlay, reads the manifests that are applied by hand (`tasks`), validates all against the schema
of a current Kubernetes, scans them, and asserts what matters to operators. Needs kubectl, and kubernetes-validate and checkov beside this Python.

Deliberately not checked: whether a cluster has what the components need (cert-manager, the Prometheus Operator).
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent
# Kinds of operators, which are not in the schema of Kubernetes.
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule", "Certificate"}
# Findings of the scanner that are accepted, by overlay, each with its reason.
WAIVED = {
    "dev": {
        "CKV_K8S_15": "the image is built on the laptop that runs the cluster, and is in no registry",
        "CKV_K8S_43": "an image that is in no registry has no digest to pull by",
    },
    "production": {
        "CKV_K8S_43": "an installation pins the digest in its own registry, which is unknown here",
    },
    "restore": {
        "CKV_K8S_43": "the operator who applies it sets the image of the overlay",
    },
}
DRAIN_SECONDS_DEFAULT = 20
FLUSH_SECONDS = 10
# For changes whose client has gone.
DETACHED_SECONDS = 5
UID_MIN = 10_000

faults = []


def expect(holds, fault):
    if not holds:
        faults.append(fault)


def render(overlay):
    command = ["kubectl", "kustomize", str(overlay)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tool(name):
    beside = pathlib.Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def validate(name, objects):
    known = [it for it in objects if it["kind"] not in CUSTOM_KINDS]
    text = yaml.safe_dump_all(known)
    found = subprocess.run([tool("kubernetes-validate"), "--strict", "-"], input=text, capture_output=True, text=True)
    expect(found.returncode == 0, f"{name}: invalid manifests:\n{found.stdout}{found.stderr}")


def scan(name, text):
    waived = WAIVED.get(name, {})
    rendered = PROJECT / "target" / f"k8s-{name}.yaml"
    rendered.parent.mkdir(exist_ok=True)
    rendered.write_text(text)
    command = [tool("checkov"), "--framework", "kubernetes", "--skip-download", "--output", "json", "-f", str(rendered)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    expect(found["summary"]["passed"] > 0, f"{name}: the scanner checked nothing")
    failed = found["results"]["failed_checks"]
    for check in failed:
        if check["check_id"] not in waived:
            faults.append(f"{name}: {check['check_id']} {check['check_name']}: {check['resource']}")
    unused = set(waived) - {check["check_id"] for check in failed}
    expect(not unused, f"{name}: unused waivers: {sorted(unused)}")


def pods_of(objects):
    """The pod templates, each with the kind and name of its controller."""
    for it in objects:
        spec = it.get("spec", {})
        if it["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield f"{it['kind']}/{it['metadata']['name']}", spec["template"]


def version():
    return tomllib.loads((PROJECT / "Cargo.toml").read_text())["package"]["version"]


def check_pod(name, controller, pod):
    spec = pod["spec"]
    of_pod = spec["securityContext"]
    expect(of_pod.get("runAsNonRoot") is True, f"{name}: {controller} may run as root")
    expect(of_pod.get("runAsUser", 0) > UID_MIN, f"{name}: {controller} may run as a user of the node")
    expect(of_pod.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{name}: {controller} has no seccomp profile")
    expect(spec.get("automountServiceAccountToken") is False, f"{name}: {controller} gets an API token")
    expect(spec.get("serviceAccountName", "default") != "default", f"{name}: {controller} uses the default service account")
    expect(spec.get("enableServiceLinks") is False, f"{name}: {controller} gets variables such as TACTFUL_PORT in its environment")
    for container in spec["containers"]:
        of_container = container.get("securityContext", {})
        expect(of_container.get("readOnlyRootFilesystem") is True, f"{name}: {controller} has a writable root filesystem")
        expect(of_container.get("allowPrivilegeEscalation") is False, f"{name}: {controller} may gain privileges")
        expect(of_container.get("capabilities", {}).get("drop") == ["ALL"], f"{name}: {controller} has capabilities")
        image = container["image"]
        expect(image == f"tactful:{version()}", f"{name}: {controller} runs {image}, not the image that `just image` builds")
        resources = container.get("resources", {})
        for bound in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                expect(resource in resources.get(bound, {}), f"{name}: {controller} has no {resource} {bound}")


def argument(arguments, flag):
    """The value of a flag, written `--flag value` or `--flag=value`."""
    for index, text in enumerate(arguments):
        if text == flag:
            return arguments[index + 1]
        if text.startswith(flag + "="):
            return text.partition("=")[2]
    return None


def check_server(name, objects):
    servers = [it for it in objects if it["kind"] == "StatefulSet"]
    expect(len(servers) == 1, f"{name}: {len(servers)} StatefulSets instead of one")
    spec = servers[0]["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    arguments = container["args"]
    expect(spec["replicas"] == 1, f"{name}: the embedded store allows only one replica")
    for claim in spec["volumeClaimTemplates"]:
        expect(claim["spec"]["accessModes"] == ["ReadWriteOncePod"], f"{name}: two pods could open the same store")
    health = argument(arguments, "--health-listen")
    expect(health, f"{name}: there is no health port for the probes")
    for probe, service in (("startupProbe", None), ("readinessProbe", None), ("livenessProbe", "liveness")):
        grpc = container.get(probe, {}).get("grpc", {})
        expect(str(grpc.get("port")) == (health or "").rpartition(":")[2], f"{name}: {probe} uses another port than the health port")
        expect(service in (None, grpc.get("service")), f"{name}: {probe} checks {grpc.get('service')}")
    expect(container["readinessProbe"]["grpc"].get("service") != "liveness", f"{name}: readinessProbe checks liveness, so the pod is always ready")
    environment = {it["name"]: it.get("value") for it in container.get("env", [])}
    training = int(environment.get("TACTFUL_TRAINING_MEMORY_MIB", "0"))
    limit = container["resources"]["limits"]["memory"]
    limit_mib = int(limit[:-2]) * {"Gi": 1024, "Mi": 1}[limit[-2:]]
    expect(0 < training <= limit_mib / 2, f"{name}: a training may use {training} MiB, more than half of {limit}")
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = argument(arguments, "--drain-timeout") or f"{DRAIN_SECONDS_DEFAULT}s"
    needed = sleep + int(drain.removesuffix("s")) + DETACHED_SECONDS + FLUSH_SECONDS
    grace = pod["terminationGracePeriodSeconds"]
    expect(grace >= needed, f"{name}: terminationGracePeriodSeconds is {grace}, but shutdown may take {needed} s")
    is_encrypted = argument(arguments, "--tls-cert") is not None
    expect(is_encrypted != ("--plaintext" in arguments), f"{name}: set either TLS or --plaintext")
    if name == "production":
        expect(is_encrypted and argument(arguments, "--access"), "production: access is not restricted")


def check_backup(name, objects):
    """The certificate of the nightly job has the identity that the access rules name."""
    jobs = [it for it in objects if it["kind"] == "CronJob"]
    if not jobs:
        expect(name != "production", "production: there is no backup job")
        return
    rules = next(it["data"]["access.toml"] for it in objects if it["kind"] == "ConfigMap" and "access.toml" in it["data"])
    callers = {it["identity"]: it["roles"] for it in tomllib.loads(rules)["callers"]}
    pod = jobs[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    certificates = [it for it in objects if it["kind"] == "Certificate" and it["spec"]["secretName"] in secrets]
    uris = [uri for it in certificates for uri in it["spec"]["uris"]]
    expect(uris and all(callers.get(uri) == ["backup"] for uri in uris), f"{name}: the access rules do not grant {uris} the role backup")


def dockerfile_words(instruction):
    """The arguments of an instruction that occurs once in the Dockerfile."""
    return re.search(rf"^{instruction} (.+)$", (PROJECT / "image" / "Dockerfile").read_text(), re.MULTILINE)[1].split()


def check_image(name, objects):
    """User, volume and ports of the manifests are those of the image."""
    pod = next(it for it in objects if it["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    of_pod = pod["securityContext"]
    user = f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}"
    expect(dockerfile_words("USER") == [user], f"{name}: {user} is not the user of the image")
    data = argument(container["args"], "--data-dir")
    expect(dockerfile_words("VOLUME") == [data], f"{name}: {data} is not the volume of the image")
    ports = {str(port["containerPort"]) for port in container["ports"]}
    expect(set(dockerfile_words("EXPOSE")) == ports, f"{name}: the image exposes other ports than {sorted(ports)}")


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def check_network(name, objects):
    policies = [it["spec"] for it in objects if it["kind"] == "NetworkPolicy"]
    for controller, pod in pods_of(objects):
        labels = pod["metadata"]["labels"]
        denied = set()
        for policy in policies:
            if selects(policy["podSelector"], labels):
                denied.update(policy["policyTypes"])
        expect(denied == {"Ingress", "Egress"}, f"{name}: the network policies of {controller} deny only {sorted(denied)} by default")


def check_metrics(name, objects):
    """Every metric in dashboards and alerts is one that the server exposes."""
    exposed = set(re.findall(r'"((?:tactful|rpc_server)_\w+)"', (PROJECT / "src" / "telemetry" / "prometheus.rs").read_text()))
    runbook = (PROJECT / "docs" / "operations.md").read_text().lower()
    queries = {}
    for it in objects:
        if it["kind"] == "ConfigMap" and "dashboard.json" in it.get("data", {}):
            for panel in json.loads(it["data"]["dashboard.json"])["panels"]:
                queries.update({target["expr"]: f"panel {panel['title']}" for target in panel["targets"]})
        if it["kind"] == "PrometheusRule":
            for rule in it["spec"]["groups"][0]["rules"]:
                alert = rule["alert"]
                queries[rule["expr"]] = f"alert {alert}"
                expect(f"### {alert.lower()}" in runbook, f"{name}: alert {alert} is not in docs/operations.md")
                expect(rule["annotations"]["runbook_url"].endswith("#" + alert.lower()), f"{name}: the runbook_url of {alert} is wrong")
    for expression, user in queries.items():
        for metric in re.findall(r"\b(?:tactful|rpc_server)_\w+", expression):
            metric = re.sub(r"_(bucket|sum|count)$", "", metric)
            expect(metric in exposed, f"{name}: {user} uses {metric}, which the server does not expose")
    return len(queries)


def check_manifests(name, text):
    """Checks that apply to overlays and to manifests applied by hand; returns the objects."""
    objects = [it for it in yaml.safe_load_all(text) if it]
    validate(name, objects)
    scan(name, text)
    for controller, pod in pods_of(objects):
        check_pod(name, controller, pod)
    check_network(name, objects)
    return objects


def main():
    names = sorted(path.name for path in (HERE / "overlays").iterdir())
    for name in names:
        objects = check_manifests(name, render(HERE / "overlays" / name))
        check_server(name, objects)
        check_backup(name, objects)
        check_image(name, objects)
        queries = check_metrics(name, objects)
        print(f"{name}: {len(objects)} objects, {queries} queries, {len(WAIVED.get(name, {}))} findings waived")
    for path in sorted((HERE / "tasks").iterdir()):
        name = path.stem
        objects = check_manifests(name, path.read_text())
        print(f"{name}: {len(objects)} objects, {len(WAIVED.get(name, {}))} findings waived")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
