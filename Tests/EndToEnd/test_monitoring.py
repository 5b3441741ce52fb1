"""Metrics that Prometheus' own tools accept, alerts that fire and end, and dashboards that ask for what there is."""

import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import urllib.request

import pytest
import yaml
from holdfast import CLIENTS, ROOT, Server, wait_until
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as prometheus

TOOLS = CLIENTS.parent / "monitoring/usr/bin"
MONITORING = ROOT / "Deploy/monitoring"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def page(server, accept="text/plain"):
    request = urllib.request.Request(server.admin + "/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def tool(name, *arguments, **options):
    return subprocess.run([TOOLS / name, *arguments], capture_output=True, text=True, timeout=60, **options)


def put_some(server):
    s3 = server.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="large", Body=os.urandom(300_000))
    s3.put_object(Bucket="bucket", Key="small", Body=b"x" * 100)
    assert s3.get_object(Bucket="bucket", Key="large")["Body"].read()
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="bucket", Key="none")


def samples(text):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in prometheus.text_string_to_metric_families(text) for s in family.samples}


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("counted") / "store") as server:
        put_some(server)
        wait_until(lambda: "holdfast_catalog_rows{" in page(server)[1], what="the first look")
        yield server


def test_both_formats_are_valid_and_say_the_same(counted):
    kind, text = page(counted)
    assert kind.startswith("text/plain; version=0.0.4")
    done = tool("promtool", "check", "metrics", input=text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    kind, newer = page(counted, OPENMETRICS)
    assert kind.startswith(OPENMETRICS.replace(";", "; "))
    families = {f.name for f in openmetrics.text_string_to_metric_families(newer)}
    strip = lambda name: re.sub("_(total|info)$", "", name)
    assert families == {strip(name) for name in re.findall("^# TYPE (\\S+)", text, re.M)}


def test_requests_are_counted_by_operation_with_their_bytes(counted):
    rows = ("holdfast_catalog_rows", (("table", "current"),))
    wait_until(lambda: samples(page(counted)[1]).get(rows) == 2, what="another look at the catalog")
    found = samples(page(counted)[1])
    value = lambda name, **labels: found[name, tuple(sorted(labels.items()))]
    assert value("holdfast_requests_total", operation="PutObject", status="200") == 2
    assert value("holdfast_requests_total", operation="GetObject", status="404") == 1
    assert value("holdfast_request_received_bytes_total", operation="PutObject") >= 300_100
    assert value("holdfast_response_sent_bytes_total", operation="GetObject") >= 300_000
    assert value("holdfast_request_duration_seconds_count", operation="PutObject") == 2
    assert value("holdfast_request_errors_total", code="NoSuchKey") == 1
    for volume in "123":
        assert value("holdfast_log_append_duration_seconds_count", volume=volume) > 0
        assert value("holdfast_volume_in_service", volume=volume) == 1


def test_every_metric_is_documented_and_every_documented_one_is_served(counted):
    served = set(re.findall("^# TYPE (\\S+)", page(counted)[1], re.M))
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "Documentation/metrics.md").read_text(), re.M))
    assert served == documented


def alert_rules():
    return [rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def dashboards():
    found = {path.name: json.loads(path.read_text())["panels"] for path in (MONITORING / "dashboards").glob("*.json")}
    assert len(found) == 2
    return found


def test_panels_have_numbers_and_places_of_their_own():
    for name, panels in dashboards().items():
        assert len({panel["id"] for panel in panels}) == len(panels), name
        taken = [(column, row) for panel in panels for at in [panel["gridPos"]]
                 for column in range(at["x"], at["x"] + at["w"]) for row in range(at["y"], at["y"] + at["h"])]
        assert len(set(taken)) == len(taken) and all(0 <= column < 24 for column, _ in taken), name


def test_rules_and_dashboards_ask_for_what_is_served(counted):
    served = set(re.findall("^# TYPE (\\S+)", page(counted)[1], re.M))
    served |= {name + end for name in served for end in ("_bucket", "_sum", "_count")} | {"holdfast"}
    texts = [rule["expr"] for rule in alert_rules()]
    for panels in dashboards().values():
        texts += [target["expr"] for panel in panels for target in panel["targets"]]
    asked = {name for text in texts for name in re.findall(r"\b(?:holdfast|process)_\w+", text)}
    assert asked and asked <= served, asked - served


def test_the_rules_pass_their_unit_tests_and_the_configurations_are_valid():
    for arguments in (("test", "rules", "alerts_test.yml"), ("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml")):
        done = tool("promtool", *arguments, cwd=MONITORING)
        assert done.returncode == 0, done.stdout + done.stderr
    done = tool("amtool", "check-config", "alertmanager.yml", cwd=MONITORING)
    assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    names = {rule["alert"] for rule in alert_rules()}
    # Each is seen to fire, and seen not to.
    for fires in (True, False):
        assert {check["alertname"] for check in checks if bool(check["exp_alerts"]) == fires} == names


def test_every_alert_is_documented_with_its_severity_in_the_order_of_the_rules():
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \|", (MONITORING / "README.md").read_text(), re.M)
    assert documented == [(rule["alert"], rule["labels"]["severity"]) for rule in alert_rules()]


class Pager(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.alerts += [(a["labels"]["alertname"], a["status"]) for a in body["alerts"]]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_damage_fires_an_alert_at_a_real_alertmanager_and_healing_ends_it(server, tmp_path):
    put_some(server)
    pager = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pager)
    pager.alerts = []
    threading.Thread(target=pager.serve_forever, daemon=True).start()
    prometheus_port, manager_port = free_port(), free_port()
    # The rules as they are shipped, in less time.
    rules = re.sub(r"for: \w+", "for: 1s", (MONITORING / "alerts.yml").read_text()).replace("[10m]", "[10s]")
    (tmp_path / "alerts.yml").write_text(rules)
    watch = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    watch["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    watch["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{manager_port}"]
    watch["scrape_configs"][0]["static_configs"][0]["targets"] = [server.admin.removeprefix("http://")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(watch))
    manage = yaml.safe_load((MONITORING / "alertmanager.yml").read_text())
    manage["route"].update(group_wait="1s", group_interval="1s")
    for receiver in manage["receivers"]:
        receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{pager.server_address[1]}/"
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(manage))
    programs = [
        ("prometheus", "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{prometheus_port}", "--storage.tsdb.path=tsdb"),
        ("prometheus-alertmanager", "--config.file=alertmanager.yml", f"--web.listen-address=127.0.0.1:{manager_port}",
         "--storage.path=manager", "--cluster.listen-address=")]
    running = []
    try:
        for name, *arguments in programs:
            with open(tmp_path / f"{name}.log", "w") as log:
                running.append(subprocess.Popen([TOOLS / name, *arguments], cwd=tmp_path, stdout=log, stderr=log))

        def ask(path):
            with urllib.request.urlopen(f"http://127.0.0.1:{prometheus_port}/api/v1/{path}", timeout=5) as answer:
                return json.load(answer)["data"]

        def targets():
            try:
                return [t["health"] for t in ask("targets")["activeTargets"]] == ["up"]
            except OSError:
                return False

        wait_until(targets, what="the first scrape")
        assert not pager.alerts
        # What the rules and the dashboards of jobs go by.
        wait_until(lambda: "scrub" in ask("label/exported_job/values"), what="jobs by Prometheus' name for their label")
        server.blobs(2)[0].unlink()
        server.command("scrub", "start", check=0)
        wait_until(lambda: ("HoldfastDamageFound", "firing") in pager.alerts, what="the alert")
        wait_until(lambda: ("HoldfastDamageFound", "resolved") in pager.alerts, what="its end")
        assert server.fsck("--deep", check=0)[0] == []
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(30)
        pager.shutdown()
