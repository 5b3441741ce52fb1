"""Real brokers on loopback, as the tests of sinks want them: RabbitMQ, NATS with JetStream, and Kafka as librdkafka mocks it.

Each has `start`, `kill` and `stop`, can hang and go on, says what a sink's settings are, and hands out what it was told, in
the order in which it took it.
"""

import base64
import json
import logging
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys

import pika

from holdfast import wait_until

logging.getLogger("pika").setLevel(logging.CRITICAL)  # what is away is looked for in a loop

QUEUE = "holdfast"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Broker:
    """What all have in common: a process group, which hangs and ends as one."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None
        self.output = self.directory / "output"

    def spawn(self, *command, **options):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                list(map(str, command)), stderr=output, start_new_session=True,
                **{"stdout": output, "stdin": subprocess.DEVNULL, **options})

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def hang(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        if self.process:
            self.signal(signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    def stop(self):
        self.kill()

    def wait_ready(self, is_ready, seconds=60):
        def ready():
            assert self.process.poll() is None, self.output.read_text()
            return is_ready()
        wait_until(ready, seconds, f"{type(self).__name__} to answer")


class RabbitMQ(Broker):
    kind = "amqp"
    server = next(pathlib.Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"), None)

    def __init__(self, directory, user=("guest", "guest"), certificates=None):
        super().__init__(directory)
        self.user = user
        self.names = free_port()
        self.tls_port = free_port() if certificates else None
        self.certificates = certificates
        self.epmd = None

    def start(self):
        settings = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", f"default_user = {self.user[0]}",
                    f"default_pass = {self.user[1]}", "log.console = true", "log.console.level = warning",
                    "disk_free_limit.absolute = 1MB"]
        if self.certificates:
            settings += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}"] + [
                f"ssl_options.{name} = {path}" for name, path in self.certificates.items()]
        (self.directory / "rabbitmq.conf").write_text("\n".join(settings) + "\n")
        (self.directory / "plugins").write_text("[].\n")
        environment = dict(
            os.environ, HOME=str(self.directory), RABBITMQ_NODENAME=f"test{self.port}@localhost",
            RABBITMQ_CONFIG_FILE=str(self.directory / "rabbitmq"), RABBITMQ_MNESIA_BASE=str(self.directory / "mnesia"),
            RABBITMQ_LOG_BASE=str(self.directory / "log"), RABBITMQ_ENABLED_PLUGINS_FILE=str(self.directory / "plugins"),
            RABBITMQ_PID_FILE=str(self.directory / "pid"), RABBITMQ_CONF_ENV_FILE="/dev/null", RABBITMQ_ALLOW_INPUT="1",
            RABBITMQ_DIST_PORT=str(free_port()), ERL_EPMD_PORT=str(self.names), ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-noinput +S 1:1 -kernel inet_dist_use_interface {127,0,0,1}")
        if not self.epmd:
            self.epmd = subprocess.Popen(["epmd", "-port", str(self.names), "-address", "127.0.0.1"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: answers(self.names), what="epmd to answer")
        self.spawn(self.server, env=environment)
        self.wait_ready(self.is_up, 120)
        self.declare(QUEUE)

    def is_up(self):
        try:
            self.connect().close()
            return True
        except (pika.exceptions.AMQPError, OSError):
            return False

    def connect(self):
        return pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.port, credentials=pika.PlainCredentials(*self.user), socket_timeout=5))

    def declare(self, queue, most=None):
        with self.connect() as connection:
            connection.channel().queue_declare(
                queue, durable=True,
                arguments={"x-max-length": most, "x-overflow": "reject-publish"} if most else None)

    def stop(self):
        super().stop()
        if self.epmd:
            self.epmd.kill()
            self.epmd.wait(30)
            self.epmd = None

    def setting(self, queue=QUEUE):
        return {"amqp": f"127.0.0.1:{self.port}", "routing-key": queue}

    def take(self, queue=QUEUE):
        """The messages that are there, which are then gone: what they are called, and their body."""
        taken = []
        with self.connect() as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    break
                assert properties.delivery_mode == 2 and properties.content_type == "application/json"
                taken.append((properties.message_id, body))
        return taken


class NATS(Broker):
    kind = "nats"

    def __init__(self, directory, user=None, certificates=None):
        super().__init__(directory)
        self.user = user
        self.certificates = certificates
        self.fetched = {}

    def start(self):
        settings = [f"listen: 127.0.0.1:{self.port}",
                    f"jetstream {{ store_dir: {json.dumps(str(self.directory / 'jetstream'))} }}"]
        if self.user:
            settings.append(f"authorization {{ user: {self.user[0]}, password: {json.dumps(self.user[1])} }}")
        if self.certificates:
            settings.append("tls { " + ", ".join(f"{name}: {json.dumps(str(path))}"
                                                 for name, path in self.certificates.items() if name != "ca") + " }")
        (self.directory / "nats.conf").write_text("\n".join(settings) + "\n")
        self.spawn("nats-server", "-c", self.directory / "nats.conf")
        self.wait_ready(lambda: answers(self.port))
        wait_until(lambda: "error" not in self.ask("$JS.API.INFO"), what="JetStream")
        self.declare(QUEUE)

    def ask(self, subject, **request):
        """The answer to one request to JetStream, over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            first = plain.recv(65536)
            assert first.startswith(b"INFO "), first
            connection = plain
            if self.certificates:
                context = ssl.create_default_context(cafile=self.certificates["ca"])
                connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
            options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
            if self.user:
                options.update(user=self.user[0], **{"pass": self.user[1]})
            body = json.dumps(request).encode() if request else b""
            connection.sendall(b"CONNECT %s\r\nSUB answer 1\r\nPUB %s answer %d\r\n%s\r\n"
                               % (json.dumps(options).encode(), subject.encode(), len(body), body))
            stream = connection.makefile("rb")
            while True:
                line = stream.readline()
                assert line, f"{subject}: the connection ended"
                if line.startswith(b"PING"):
                    connection.sendall(b"PONG\r\n")
                if line.startswith(b"HMSG"):
                    return {"error": stream.read(int(line.split()[-1])).decode()}
                if line.startswith(b"MSG"):
                    return json.loads(stream.read(int(line.split()[-1])))
                assert not line.startswith(b"-ERR"), line

    def declare(self, subject, most=-1, largest=-1):
        """A stream with room for so many messages, none of more bytes, headers included."""
        name = subject.replace(".", "_")
        made = self.ask(f"$JS.API.STREAM.CREATE.{name}", name=name, subjects=[subject], storage="file", retention="limits",
                        num_replicas=1, max_msgs=most, max_msg_size=largest, discard="new")
        assert made.get("error", {}).get("err_code", 10058) == 10058, made  # it is there already

    def setting(self, queue=QUEUE):
        return {"nats": f"127.0.0.1:{self.port}", "subject": queue}

    def take(self, queue=QUEUE):
        name = queue.replace(".", "_")
        last = self.ask(f"$JS.API.STREAM.INFO.{name}")["state"]["last_seq"]
        taken = []
        for number in range(self.fetched.get(queue, 0) + 1, last + 1):
            answer = self.ask(f"$JS.API.STREAM.MSG.GET.{name}", seq=number)
            if "error" in answer:
                continue  # it was purged
            headers = base64.b64decode(answer["message"]["hdrs"]).decode()
            names = [line.split(": ", 1)[1] for line in headers.splitlines() if line.startswith("Nats-Msg-Id: ")]
            taken.append((names[0], base64.b64decode(answer["message"]["data"])))
            assert self.ask(f"$JS.API.STREAM.MSG.DELETE.{name}", seq=number, no_erase=True)["success"]
        self.fetched[queue] = last
        return taken


class Kafka(Broker):
    """librdkafka's mock cluster, in a process of its own: Tests/EndToEnd/kafka_mock.py. Its topics live in memory, so to
    kill it is to let it drop every connection and refuse new ones."""

    kind = "kafka"

    def start(self):
        if self.process:
            return self.tell("up")
        self.spawn(sys.executable, pathlib.Path(__file__).parent / "kafka_mock.py", QUEUE, stdin=subprocess.PIPE,
                   stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())

    def tell(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def kill(self):
        self.tell("down")

    def stop(self):
        if self.process:
            super().kill()

    def setting(self, queue=QUEUE):
        return {"kafka": self.address, "topic": queue}

    def take(self, queue=QUEUE):
        return [(key, body.encode()) for key, body in self.tell("take")]

