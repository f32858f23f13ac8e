#!/usr/bin/env bash
# Summary: a broker is frozen (SIGSTOP): its port takes connections and never answers; another one takes over its partition.
# Usage:   chaos/broker-freeze.sh [--victim leader|follower] [--seconds 30] [--rate 400] [--target compose|local]
# After:   acknowledged again within 20 s of the freeze (15 s for a follower); all green within 20 s of its waking.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
opt_victim=leader
begin "$@"

random 3
partition=$REPLY
leader=$(show leader "$partition")
broker=$leader within=20
if [ "$opt_victim" = follower ]; then broker=kafka$((${leader#kafka} % 3 + 1)) within=15; fi
heals thaw_part "$broker"
strike "freeze of $broker ($opt_victim of partition $partition)" freeze_part "$broker"
effect 25 isr-without "$broker"
[ "$opt_victim" = follower ] || effect $within leader-moved "$partition" "$broker"
effect $within acked "$opt_rate"
outage
heal
recovered 20
at_most "$within" ack-stall
verdict
