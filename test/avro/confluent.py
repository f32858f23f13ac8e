"""The official client with its own Avro serializer, to hold ours to: reads a topic, or writes to it.

confluent.py BROKERS REGISTRY read TOPIC KEY_PREFIX COUNT   one JSON line a message whose key begins so
confluent.py BROKERS REGISTRY write TOPIC SCHEMA_FILE       messages as JSON lines on standard input
"""

import datetime
import json
import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """A time as microseconds since 1970, as it lies in the message."""
    if isinstance(value, datetime.datetime):
        return round((value - EPOCH) / datetime.timedelta(microseconds=1))
    return value


def read(brokers, registry, topic, prefix, count):
    decode = AvroDeserializer(registry)
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": f"official-{time.time_ns()}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    until = time.monotonic() + 60
    while count > 0 and time.monotonic() < until:
        message = consumer.poll(1.0)
        if message is None or message.error() or not (message.key() or b"").startswith(prefix.encode()):
            continue
        value = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
        print(json.dumps({name: plain(field) for name, field in value.items()}), flush=True)
        count -= 1
    consumer.close()


def write(brokers, registry, topic, schema_file):
    with open(schema_file) as file:
        encode = AvroSerializer(registry, file.read())
    producer = Producer({"bootstrap.servers": brokers, "acks": "all"})
    for line in sys.stdin:
        record = json.loads(line)
        record["ts"] = EPOCH + datetime.timedelta(microseconds=record["ts"])
        value = encode(record, SerializationContext(topic, MessageField.VALUE))
        producer.produce(topic, key=record["id"], value=value)
    if producer.flush(60) > 0:
        sys.exit("not everything was sent")


brokers, url, command, *rest = sys.argv[1:]
client = SchemaRegistryClient({"url": url})
if command == "read":
    read(brokers, client, rest[0], rest[1], int(rest[2]))
else:
    write(brokers, client, rest[0], rest[1])
