"""What stands in Deploy/: files that their tools accept, and that name what there is."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from holdfast import CLIENTS, ROOT, holdfast, keep_secret

DEPLOY = ROOT / "Deploy"
CHART = DEPLOY / "helm/holdfast"
UNIT = DEPLOY / "systemd/holdfast.service"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Every setting by its name, as the binary lists them."""
    done = holdfast("config", "list", tmp_path_factory.mktemp("settings"), "--json", check=0)
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


# Helm


def values():
    return yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_chart_has_every_setting_and_no_other(settings):
    scalar = {name for name, line in settings.items() if "environment" in line and not name.startswith("root-")}
    sections = {name for name, line in settings.items() if "environment" not in line}
    assert set(values()["settings"]) == scalar
    assert sections == {"users", "sinks", "repositories", "job-windows", "rate-limits"}
    assert {"users", "sinks", "repositories", "jobWindows", "rateLimits"} <= set(values())


def test_the_charts_own_settings_are_good(tmp_path):
    """As the template writes them: what is not null."""
    chosen = {name: value for name, value in values()["settings"].items() if value is not None}
    (tmp_path / "holdfast.json").write_text(json.dumps(chosen))
    assert holdfast("config", "check", tmp_path).returncode == 0
    grace = values()["terminationGracePeriodSeconds"]
    assert grace >= chosen["drain-delay-seconds"] + chosen["drain-seconds"] + 10


def test_templates_use_values_that_there_are_and_all_of_them():
    known = values()
    used = set()
    for path in (CHART / "templates").iterdir():
        text = path.read_text()
        assert text.count("{{") == len(re.findall(r"{{.*?}}", text)), path
        # Each block that begins also ends.
        begins = len(re.findall(r"{{-? *(?:if|with|range|define)\b", text))
        assert begins == len(re.findall(r"{{-? *end\b", text)), path
        for name in re.findall(r"\.Values((?:\.\w+)+)", text):
            at = known
            for part in name[1:].split("."):
                assert isinstance(at, dict) and part in at, f"{path.name} uses .Values{name}"
                at = at[part]
            used.add(name.split(".")[1])
    assert used == set(known)


def examples():
    """What values.yaml shows in comments, put together."""
    shown = {}
    for text in re.findall(r"(?:^#   .*\n)+", (CHART / "values.yaml").read_text(), re.M):
        for name, value in yaml.safe_load(re.sub("^#   ", "", text, flags=re.M)).items():
            shown[name] = shown.get(name, []) + value if isinstance(value, list) else {**shown.get(name, {}), **value}
    return shown


def test_what_values_shows_are_values_and_settings_that_are_good(tmp_path, monkeypatch):
    shown = examples()
    assert set(shown) <= set(values()) and {name for name in values() if name.startswith("extra")} <= set(shown)
    mounts = {mount["name"]: mount["mountPath"] for mount in shown["extraVolumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in shown["extraVolumes"]}
    assert shown["repositories"]["nas"]["directory"].startswith(mounts["nas"] + "/")
    for variable in shown["extraEnv"]:
        monkeypatch.setenv(variable["name"], "the secret of the suite")
    for name in ("secret", "ca.crt"):
        keep_secret(tmp_path / name, "the secret of the suite")
    settings = json.dumps({"sinks": shown["sinks"], "repositories": shown["repositories"]})
    for name in ("stream-sink", "vault"):
        settings = settings.replace(mounts[name], str(tmp_path))
    (tmp_path / "holdfast.json").write_text(settings)
    for variable in ("HOLDFAST_S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(variable, raising=False)
    # The variables of extraEnvFrom and the file of the vault's keys are not there yet.
    done = holdfast("config", "check", tmp_path)
    assert done.returncode == 1 and "'offsite'" in done.stdout and "'vault'" in done.stdout
    for variable in ("HOLDFAST_S3_ACCESS_KEY", "HOLDFAST_S3_SECRET_KEY"):
        monkeypatch.setenv(variable, "the secret of the suite")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"access-key": "of-the-vault", "secret-key": "the secret of the suite"}))
    keys.chmod(0o600)
    done = holdfast("config", "check", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def rendered(path):
    """A template with its actions taken out, or with a word in their place: enough to see that the rest is YAML."""
    lines = []
    for line in path.read_text().splitlines():
        if re.fullmatch(r"\s*(- )?{{.*}}\s*", line):
            continue
        line = re.sub(r":\s*{{-.*?nindent.*?}}", ": {}", line)
        lines.append(re.sub(r"{{.*?}}", "word", line))
    return [document for document in yaml.safe_load_all("\n".join(lines)) if document]


@pytest.mark.parametrize("path", sorted((CHART / "templates").glob("*.yaml")), ids=lambda path: path.name)
def test_what_a_template_writes_is_yaml_of_a_kind(path):
    for document in rendered(path):
        assert document["apiVersion"] and document["kind"] and document["metadata"]["name"]


def test_the_stateful_set_probes_what_the_server_answers_and_claims_three_volumes():
    text = (CHART / "templates/statefulset.yaml").read_text()
    assert set(re.findall(r"path: (/health/\w+)", text)) == {"/health/live", "/health/ready"}
    document, = rendered(CHART / "templates/statefulset.yaml")
    spec = document["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    container, = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] and container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    # The check before the start sees what the server sees.
    check, = spec["initContainers"]
    assert check["volumeMounts"] == container["volumeMounts"] and text.count('include "holdfast.environment"') == 2
    assert "range $number := list 1 2 3" in text
    assert {path.stem for path in (CHART / "templates").glob("*.yaml")} >= {"disruption-budget", "service-monitor", "network-policy"}


@pytest.mark.skipif(not shutil.which("helm"), reason="needs helm")
def test_helm_accepts_the_chart(tmp_path):
    (tmp_path / "examples.yaml").write_text(yaml.safe_dump(examples()))
    for arguments in (["lint", "--strict", CHART], ["template", "test", CHART, "--set", "serviceMonitor.enabled=true",
                                                    "--set", "networkPolicy.enabled=true", "--set", "tls.existingSecret=x",
                                                    "--set", "root.existingSecret=x", "--values", tmp_path / "examples.yaml"]):
        done = subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        if arguments[0] == "template":
            assert all(yaml.safe_load_all(done.stdout))


# systemd


def test_the_unit_is_one_that_systemd_accepts(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    # The binary is to be there for the check.
    shutil.copy(UNIT.with_suffix(".socket"), tmp_path)
    unit = tmp_path / "holdfast.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/holdfast", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit, tmp_path / "holdfast.socket"], capture_output=True, text=True, timeout=60)
    about = [line for line in (done.stdout + done.stderr).splitlines() if "holdfast." in line]
    assert done.returncode == 0 and about == [], done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]


def unit():
    """Each directive's values."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_gives_a_drain_its_time_and_the_server_no_more_than_it_needs(settings):
    found = unit()
    assert int(found["TimeoutStopSec"][0]) > int(settings["drain-seconds"]["defaultValue"]) + 60
    assert int(found["LimitNOFILE"][0]) > int(settings["connections"]["defaultValue"]) + 512
    assert found["User"] == ["holdfast"] and found["NoNewPrivileges"] == ["yes"] and found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""] and found["ReadWritePaths"] == ["/srv/holdfast"] and found["UMask"] == ["0077"]
    for command in found["ExecStartPre"] + found["ExecStart"]:
        words = command.split()
        assert words[0] == "/usr/local/bin/holdfast"
        holdfast(*words[1:words.index("/srv/holdfast")], "--help", check=0)


def test_systemds_sockets_are_where_the_settings_say(settings):
    addresses = re.findall(r"^ListenStream=(.*)$", UNIT.with_suffix(".socket").read_text(), re.M)
    assert addresses == [settings["listen"]["defaultValue"], settings["admin"]["defaultValue"]]


# Containers


def test_the_container_has_no_root_and_a_health_check():
    text = (DEPLOY / "container/Containerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.M)[1:]
    assert len(stages) == 2 and "--static-swift-stdlib" in stages[0] and "AS build" in stages[0]
    assert re.search(r"^USER 10001:10001$", stages[1], re.M) and "/health/live" in stages[1] and "swift" not in stages[1].split("\n")[0]
    assert 'ENTRYPOINT ["/usr/local/bin/holdfast"]' in stages[1]
    # It packs what the build takes, as Scripts/install-packages has it.
    packages = re.search(r"for package in (.*?);", (ROOT / "Scripts/install-packages").read_text())[1].split()
    assert all(package in stages[0] for package in packages)


def test_the_container_is_built_with_every_trait_and_has_the_libraries_of_those_that_are_named():
    text = (DEPLOY / "container/Containerfile").read_text()
    _, build, image = re.split(r"^FROM ", text, flags=re.M)
    package = (ROOT / "Package.swift").read_text()
    traits = re.findall(r'\.trait\(name: "(\w+)"', package)
    assert re.findall(r"^ARG TRAITS=(.*)$", text, re.M) == [",".join(traits)]
    assert all(re.search(r"^ARG TRAITS$", stage, re.M) for stage in (build, image))
    assert '${TRAITS:+--traits "$TRAITS"}' in build
    for trait in traits:
        library = re.search(rf'name: "C{trait}", .*?\.apt\(\["(.*?)-dev"\]', package)[1]
        for stage, name in ((build, library + "-dev"), (image, library + r"[\d.]+")):
            assert re.search(rf'\*,{trait},\*\) brokers="\$brokers {name}"', stage), (trait, name)


def test_the_compose_file_names_files_and_volumes_that_there_are(settings):
    path = DEPLOY / "compose/compose.yaml"
    compose = yaml.safe_load(path.read_text())
    services = compose["services"]
    assert {"holdfast", "prometheus", "alertmanager", "grafana"} <= set(services)
    for name, service in services.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (path.parent / source).exists() if source.startswith(".") else source in compose["volumes"], (name, mount)
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "for this machine alone"
    context = (path.parent / services["holdfast"]["build"]["context"]).resolve()
    assert (context / services["holdfast"]["build"]["dockerfile"]).exists()
    known = {line.get("environment") for line in settings.values()}
    assert set(services["holdfast"]["environment"]) <= known


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_yaml_file_is_one(path):
    if "templates" not in path.parts:
        assert list(yaml.safe_load_all(path.read_text()))


def test_prometheus_accepts_the_compose_files_configuration(tmp_path):
    shutil.copy(DEPLOY / "compose/prometheus.yml", tmp_path)
    shutil.copy(DEPLOY / "monitoring/alerts.yml", tmp_path)
    tool = CLIENTS.parent / "monitoring/usr/bin/promtool"
    done = subprocess.run([tool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# Documentation


@pytest.mark.parametrize("name", ["running.md", "security.md"])
def test_the_documentation_names_commands_settings_and_files_that_there_are(name, settings):
    text = (ROOT / "Documentation" / name).read_text()
    commands = set(re.findall(r"holdfast ((?:config|doctor|upgrade|serve|fsck|status|volume|jobs|key|user|incident)(?: [a-z-]+)?)\b", text))
    assert commands
    for command in commands:
        words = command.split()
        assert any(holdfast(*words[:n], "--help").returncode == 0 for n in (2, 1)), command
    for setting in re.findall(r"setting `([a-z0-9-]+)`", text):
        assert setting in settings, setting
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (ROOT / "Documentation" / target).exists(), target
