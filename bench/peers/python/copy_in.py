"""What one would write in Python for speed: confluent-kafka in batches of 10,000, json (or orjson), psycopg's COPY, and the
offsets committed to Kafka after each transaction: at least once."""
import os
import sys

import psycopg
from confluent_kafka import Consumer

if "orjson" in sys.argv:
    from orjson import loads
else:
    from json import loads

MOST = 10_000
expected = int(os.environ["READINGS"])
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        "group.id": os.environ["GROUP"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
consumer.subscribe([os.environ["TOPIC"]])
taken = 0
with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    while taken < expected:
        messages = consumer.consume(MOST, timeout=0.5)
        if not messages:
            continue
        with database.cursor() as cursor, cursor.copy("copy peer_readings from stdin") as rows:
            for message in messages:
                if message.error():
                    sys.exit(str(message.error()))
                reading = loads(message.value())
                rows.write_row(
                    (
                        reading["sensor_id"],
                        reading["sensor_type"],
                        reading["timestamp"],
                        reading["value"],
                        reading["alert_level"],
                        message.partition(),
                        message.offset(),
                    )
                )
        database.commit()
        consumer.commit(asynchronous=False)
        taken += len(messages)
consumer.close()
