"""A Kafka cluster of one broker, as librdkafka mocks it for its own tests, told over standard input what to do.

First it prints where it is, as JSON; then it answers each line, a JSON list, with a line: ["take"] with what was published
since the last time, ["down"] and ["up"], ["fail", CODE, COUNT] for the next requests to publish.
Source: librdkafka, rdkafka_mock.h; the functions are called as the header of version 2.0 declares them.
"""

import ctypes
import json
import sys

PRODUCER, CONSUMER = 0, 1
OFFSET_BEGINNING = -2
PRODUCE = 0  # the API key of the requests that publish
PARTITIONS = 4


class Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32),
                ("payload", ctypes.c_void_p), ("len", ctypes.c_size_t), ("key", ctypes.c_void_p),
                ("key_len", ctypes.c_size_t), ("offset", ctypes.c_int64), ("private", ctypes.c_void_p)]


def library():
    kafka = ctypes.CDLL("librdkafka.so.1")
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in [
            ("rd_kafka_conf_new", pointer, []),
            ("rd_kafka_conf_set", ctypes.c_int, [pointer, text, text, pointer, ctypes.c_size_t]),
            ("rd_kafka_new", pointer, [ctypes.c_int, pointer, pointer, ctypes.c_size_t]),
            ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
            ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
            ("rd_kafka_mock_topic_create", ctypes.c_int, [pointer, text, ctypes.c_int, ctypes.c_int]),
            ("rd_kafka_mock_broker_set_down", ctypes.c_int, [pointer, ctypes.c_int32]),
            ("rd_kafka_mock_broker_set_up", ctypes.c_int, [pointer, ctypes.c_int32]),
            ("rd_kafka_mock_push_request_errors_array", None,
             [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)]),
            ("rd_kafka_topic_partition_list_new", pointer, [ctypes.c_int]),
            ("rd_kafka_topic_partition_list_add", pointer, [pointer, text, ctypes.c_int32]),
            ("rd_kafka_topic_partition_list_set_offset", ctypes.c_int, [pointer, text, ctypes.c_int32, ctypes.c_int64]),
            ("rd_kafka_assign", ctypes.c_int, [pointer, pointer]),
            ("rd_kafka_poll_set_consumer", ctypes.c_int, [pointer]),
            ("rd_kafka_consumer_poll", ctypes.POINTER(Message), [pointer, ctypes.c_int]),
            ("rd_kafka_message_destroy", None, [ctypes.POINTER(Message)])]:
        function = getattr(kafka, name)
        function.restype, function.argtypes = result, arguments
    return kafka


class Cluster:
    def __init__(self, topic):
        self.kafka = library()
        self.cluster = self.kafka.rd_kafka_mock_cluster_new(self.client(PRODUCER), 1)
        assert self.cluster, "there is no mock cluster"
        assert self.kafka.rd_kafka_mock_topic_create(self.cluster, topic, PARTITIONS, 1) == 0
        self.address = self.kafka.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        self.consumer = self.client(CONSUMER, ("bootstrap.servers", self.address), ("group.id", "test"),
                                    ("reconnect.backoff.max.ms", "200"), ("log_level", "0"))
        self.kafka.rd_kafka_poll_set_consumer(self.consumer)
        partitions = self.kafka.rd_kafka_topic_partition_list_new(PARTITIONS)
        for number in range(PARTITIONS):
            self.kafka.rd_kafka_topic_partition_list_add(partitions, topic, number)
            self.kafka.rd_kafka_topic_partition_list_set_offset(partitions, topic, number, OFFSET_BEGINNING)
        assert self.kafka.rd_kafka_assign(self.consumer, partitions) == 0

    def client(self, kind, *settings):
        problem = ctypes.create_string_buffer(512)
        configuration = self.kafka.rd_kafka_conf_new()
        for name, value in settings:
            done = self.kafka.rd_kafka_conf_set(configuration, name.encode(), value.encode(), problem, 512)
            assert done == 0, problem.value
        made = self.kafka.rd_kafka_new(kind, configuration, problem, 512)
        assert made, problem.value
        return made

    def take(self):
        """What has come until nothing comes for half a second."""
        taken = []
        while message := self.kafka.rd_kafka_consumer_poll(self.consumer, 500):
            if message.contents.err == 0:
                found = message.contents
                taken.append((ctypes.string_at(found.key, found.key_len).decode(),
                              ctypes.string_at(found.payload, found.len).decode()))
            self.kafka.rd_kafka_message_destroy(message)
        return taken

    def down(self):
        return self.kafka.rd_kafka_mock_broker_set_down(self.cluster, 1)

    def up(self):
        return self.kafka.rd_kafka_mock_broker_set_up(self.cluster, 1)

    def fail(self, code, count):
        self.kafka.rd_kafka_mock_push_request_errors_array(
            self.cluster, PRODUCE, count, (ctypes.c_int * count)(*[code] * count))
        return 0


def main():
    cluster = Cluster(sys.argv[1].encode())
    print(json.dumps(cluster.address), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(cluster, name)(*arguments)), flush=True)


main()
