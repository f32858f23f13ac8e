#!/usr/bin/env bash
# Summary: consumers join and leave every few seconds: partitions are claimed again and again, and storing goes on.
# Usage:   chaos/rebalance-storm.sh [--seconds 30] [--every 5] [--rate 400] [--target compose|local]
# After:   at least 30 % of what was accepted meanwhile is stored meanwhile; all green within 15 s; nothing doubled.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
opt_every=5
begin "$@"

storm() { # 5, 2, 4, 1 … consumers in turn, for as long as the outage lasts
  local until=$((SECONDS + opt_seconds)) turn=0 counts=(5 2 4 1)
  while [ "$SECONDS" -lt "$until" ]; do
    scale_consumers "${counts[turn++ % 4]}"
    sleep "$opt_every"
  done
}
heals scale_consumers "$MEMBERS"
strike "consumers join and leave every $opt_every s" storm
effect 5 claims 6
effect 5 stored $((opt_rate * opt_seconds * 3 / 10))
heal
recovered 15
verdict
