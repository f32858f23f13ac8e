#!/usr/bin/env bash
# Summary: the broker that leads a partition is killed and comes back: another one leads, acknowledgements go on.
# Usage:   chaos/leader-failure.sh [--partition N] [--seconds 30] [--rate 400] [--target compose|local]
# After:   acknowledged again within 15 s of the kill; all green within 30 s of its return; nothing lost, doubled, made up.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
opt_partition=
begin "$@"

random 3
partition=${opt_partition:-$REPLY}
leader=$(show leader "$partition")
heals start_part "$leader"
strike "kill -9 of $leader, which leads partition $partition" kill_part "$leader"
effect 10 refused "$leader"
effect 15 leader-moved "$partition" "$leader"
effect 15 acked "$opt_rate"
effect 25 isr-without "$leader"
outage
heal
recovered 30
at_most 15 ack-stall
verdict
