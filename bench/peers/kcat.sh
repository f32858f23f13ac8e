#!/usr/bin/env bash
# Summary: every message of the topic, as it is, through kcat into one COPY: nothing is parsed, checked or kept track of.
# Usage:   KAFKA_BROKERS=… TOPIC=… DATABASE_URL=… bench/peers/kcat.sh        a peer of bun run bench peers
# After:   column alert_level of peer_readings holds the messages. A backslash in one would break it: the plant sends none.
set -euo pipefail
kcat -C -q -e -b "$KAFKA_BROKERS" -t "$TOPIC" -o beginning -f '%p\t%o\t%s\n' |
  psql -qX "$DATABASE_URL" -c 'copy peer_readings (partition, log_offset, alert_level) from stdin'
