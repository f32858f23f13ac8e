#!/usr/bin/env bash
# Summary: two of the three brokers are killed: nothing may be acknowledged, readings wait in the spool, and none is lost.
# Usage:   chaos/two-brokers.sh [--seconds 30] [--rate 400] [--target compose|local]
# After:   no acknowledgement below two copies; the spool is empty and all is green within 45 s of their return.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
begin "$@"

heals start_part kafka1 kafka2
strike 'kill -9 of kafka1 and kafka2' kill_part kafka1 kafka2
effect 10 refused kafka1
effect 10 refused kafka2
effect 20 acks-stand 5
effect 25 spooled $((opt_rate * 5))
outage
effect 5 acks-stand 5
heal
recovered 45
verdict
