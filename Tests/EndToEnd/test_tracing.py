"""Traces at a real receiver of OpenTelemetry's protocol, logs for a collector, and no secret in either."""

import base64
import http.server
import json
import threading
import urllib.error
import urllib.request

import pytest
from google.protobuf import json_format
from holdfast import ACCESS_KEY, SECRET_KEY, Server, s3_client, wait_until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CUSTOMER_KEY = "K" * 32


class Receiver(http.server.BaseHTTPRequestHandler):
    """Reads OTLP's JSON as the protocol's own definition has it: ids are hexadecimal there, base64 in protobuf's."""

    def do_POST(self):
        assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/json")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.texts.append(json.dumps(body))
        for spans in (s["spans"] for r in body["resourceSpans"] for s in r["scopeSpans"]):
            for span in spans:
                for name in {"traceId", "spanId", "parentSpanId"} & set(span):
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        request = json_format.ParseDict(body, ExportTraceServiceRequest())
        self.server.spans += [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.spans, server.texts = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def traced(server, flags):
    """A client whose requests belong to a trace."""
    client = server.client()
    client.meta.events.register("before-send.s3", lambda request, **_: request.headers.__setitem__(
        "traceparent", f"00-{TRACE}-{PARENT}-{flags}"))
    return client


def attributes(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def log_lines(server):
    return [json.loads(line) for line in server.errors.read_text().splitlines() if line.startswith("{")]


def metric(server, name):
    with urllib.request.urlopen(server.admin + "/metrics", timeout=10) as answer:
        return next(float(line.split()[1]) for line in answer.read().decode().splitlines() if line.startswith(name + " "))


def test_a_request_of_a_trace_is_a_span_with_its_steps(tmp_path, receiver):
    flags = ("--set", f"trace-endpoint=http://127.0.0.1:{receiver.server_address[1]}", "--set", "trace-ratio=0",
             "--set", "request-log=all", "--set", "log-format=json")
    with Server(tmp_path / "store", *flags) as server:
        server.client().create_bucket(Bucket="bucket")
        traced(server, "00").put_object(Bucket="bucket", Key="not", Body=b"x")
        s3 = traced(server, "01")
        put = s3.put_object(Bucket="bucket", Key="key", Body=b"x" * 300_000)
        s3.get_object(Bucket="bucket", Key="key")["Body"].read()
        with pytest.raises(s3.exceptions.NoSuchKey):
            s3.get_object(Bucket="bucket", Key="none")
        wait_until(lambda: sum(span.name.startswith("S3 ") for span in receiver.spans) == 3, what="three requests")
        roots = {(span.name, attributes(span)["aws.s3.key"]): span for span in receiver.spans if span.name.startswith("S3 ")}
        assert set(roots) == {("S3 PutObject", "key"), ("S3 GetObject", "key"), ("S3 GetObject", "none")}
        assert {span.trace_id.hex() for span in receiver.spans} == {TRACE}
        steps = {name: {s.name for s in receiver.spans if s.parent_span_id == root.span_id} for name, root in roots.items()}
        assert steps["S3 PutObject", "key"] == {"signature", "catalog", "volumes", "commit"}
        assert steps["S3 GetObject", "key"] == {"signature", "catalog", "volumes"}
        for root in roots.values():
            assert root.parent_span_id.hex() == PARENT and root.kind == root.SPAN_KIND_SERVER
            for span in receiver.spans:
                if span.parent_span_id == root.span_id:
                    assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano
        told = attributes(roots["S3 PutObject", "key"])
        assert told["aws.request_id"] == put["ResponseMetadata"]["RequestId"]
        assert (told["http.response.status_code"], told["http.request.body.size"] >= 300_000) == (200, True)
        assert attributes(roots["S3 GetObject", "none"])["error.type"] == "NoSuchKey"
        [line] = [line for line in log_lines(server) if line.get("request") == told["aws.request_id"]]
        assert (line["trace"], line["operation"], line["bucket"], line["key"], line["status"]) == (TRACE, "PutObject", "bucket", "key", 200)
        # Not recorded, and named all the same.
        assert [line["trace"] for line in log_lines(server) if line.get("key") == "not"] == [TRACE]
        assert metric(server, "holdfast_trace_dropped_spans_total") == 0


def test_a_receiver_that_is_away_costs_spans_and_no_request(tmp_path):
    with Server(tmp_path / "store", "--set", "trace-endpoint=http://127.0.0.1:9", "--set", "trace-ratio=1") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="bucket")
        for number in range(20):
            s3.put_object(Bucket="bucket", Key=str(number), Body=b"x")
        wait_until(lambda: metric(server, "holdfast_trace_dropped_spans_total") > 0, what="the drop")
        assert metric(server, "holdfast_trace_sent_spans_total") == 0
        wait_until(lambda: "traces are dropped" in server.errors.read_text(), what="a word in the log")


def test_no_secret_is_in_logs_metrics_traces_or_errors(tmp_path, receiver):
    flags = ("--set", f"trace-endpoint=http://127.0.0.1:{receiver.server_address[1]}", "--set", "trace-ratio=1",
             "--set", "log-level=trace", "--set", "log-format=json", "--set", "sse-c-over-http=true")
    with Server(tmp_path / "store", *flags) as server:
        s3 = server.client()
        s3.create_bucket(Bucket="bucket")
        key = dict(SSECustomerAlgorithm="AES256", SSECustomerKey=CUSTOMER_KEY)
        s3.put_object(Bucket="bucket", Key="sealed", Body=b"x", **key)
        s3.get_object(Bucket="bucket", Key="sealed", **key)["Body"].read()
        url = server.client(signature_version="s3v4").generate_presigned_url("get_object", Params=dict(Bucket="bucket", Key="sealed"))
        signature = url.split("X-Amz-Signature=")[1].split("&")[0]
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(url)
        errors = failed.value.read().decode()
        _, access, secret = server.user("alice")
        s3_client(server.endpoint, access, secret).list_buckets()
        wrong = s3_client(server.endpoint, ACCESS_KEY, "wrong")
        answers = []
        wrong.meta.events.register("after-call.s3", lambda http_response, **_: answers.append(http_response.text))
        with pytest.raises(wrong.exceptions.ClientError):
            wrong.get_object(Bucket="bucket", Key="sealed", **key)
        assert any("SignatureDoesNotMatch" in answer for answer in answers)
        wait_until(lambda: any("S3 ListBuckets" in text for text in receiver.texts), what="the traces")
        with urllib.request.urlopen(server.admin + "/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        told = {"log": server.errors.read_text(), "metrics": metrics, "traces": "".join(receiver.texts), "errors": errors + "".join(answers)}
        assert '"path":"/bucket/sealed' in told["log"] and "REDACTED" in told["log"]
        encoded = base64.b64encode(CUSTOMER_KEY.encode()).decode()
        for place, text in told.items():
            for secret_text in (SECRET_KEY, secret, CUSTOMER_KEY, encoded):
                assert secret_text not in text, place
            if place != "errors":
                assert signature not in text, place
