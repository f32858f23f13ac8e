#!/usr/bin/env bash
# Summary: a broker that follows is killed and comes back: acknowledgements go on with the two copies that are left.
# Usage:   chaos/broker-failure.sh [--broker kafkaN] [--seconds 30] [--rate 400] [--target compose|local]
# After:   acknowledged without a stop; all green within 30 s of its return; nothing lost, doubled or made up.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
opt_broker=
begin "$@"

random 3
leader=$(show leader "$REPLY")
broker=${opt_broker:-kafka$((${leader#kafka} % 3 + 1))}
heals start_part "$broker"
strike "kill -9 of $broker, while $leader leads partition $REPLY" kill_part "$broker"
effect 10 refused "$broker"
effect 25 isr-without "$broker"
effect 15 acked "$opt_rate"
outage
heal
recovered 30
at_most 15 ack-stall
verdict
