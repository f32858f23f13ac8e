#!/usr/bin/env bash
# Summary: all consumers are killed at once: readings go on into Kafka; when they are back, each is stored once.
# Usage:   chaos/all-consumers.sh [--seconds 30] [--rate 400] [--target compose|local]
# After:   acknowledgements never stopped; all green within 30 s of their return; nothing lost, doubled or made up.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
begin "$@"

mapfile -t all < <(consumers)
heals start_part "${all[@]}"
strike "kill -9 of ${all[*]}" kill_part "${all[@]}"
effect 25 stored-stands 5
effect 20 members 0
effect 10 acked "$opt_rate"
outage
heal
recovered 30
verdict
