#!/usr/bin/env bash
# Summary: one of the consumers is killed (SIGKILL): its partitions move to the others; it comes back after a while.
# Usage:   chaos/consumer-failure.sh [--consumer consumer-N] [--seconds 20] [--rate 400] [--target compose|local]
# After:   its partitions are stored by others within 20 s of the kill; all green within 20 s of its return; nothing lost.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 20
opt_consumer=
begin "$@"

random 3
consumer=${opt_consumer:-$(show owner "$REPLY")}
heals start_part "$consumer"
strike "kill -9 of $consumer" kill_part "$consumer"
effect 20 member-gone "$consumer"
effect 20 owner-moved "$consumer"
outage
heal
recovered 20
verdict
