#!/usr/bin/env bash
# Summary: all three brokers are killed at once: readings wait in the spool, the page stays up, and none is lost.
# Usage:   chaos/all-brokers.sh [--seconds 30] [--rate 400] [--target compose|local]
# After:   the spool is empty and all is green within 60 s of their return; nothing lost, doubled or made up.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
begin "$@"

heals start_part kafka1 kafka2 kafka3
strike 'kill -9 of kafka1, kafka2 and kafka3' kill_part kafka1 kafka2 kafka3
effect 10 refused kafka1
effect 10 refused kafka2
effect 10 refused kafka3
effect 20 kafka-silent
effect 20 acks-stand 5
effect 25 spooled $((opt_rate * 5))
effect 10 api 503
effect 5 answers monitor
outage
heal
recovered 60
verdict
