#!/usr/bin/env bash
# Summary: the network is cut: a broker from everybody, or a consumer from PostgreSQL or from Kafka; then it is mended.
# Usage:   chaos/network-partition.sh [--what broker|database|kafka] [--how drop|reset] [--seconds 30] [--rate 400] [--target compose|local]
#          drop: packets vanish; reset: connections are refused. Takes root: iptables by control group on this machine, or
#          inside the container's network namespace. Only packets of our own processes and ports are touched.
# After:   acknowledgements and storing go on with those that are left; all green within 30 s; nothing lost or doubled.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
opt_what=broker
opt_how=drop
begin "$@"
need_root 'cut the network'
random 3
partition=$REPLY

# shellcheck disable=SC2034
if [ "$opt_how" = reset ]; then HOW=(-j REJECT --reject-with tcp-reset); fi
case $opt_what in
  broker)
    broker=$(show leader "$partition")
    heals mend_part "$broker"
    strike "nobody reaches $broker, and it reaches nobody ($opt_how)" isolate_part "$broker"
    effect 20 isr-without "$broker"
    effect 20 leader-moved "$partition" "$broker"
    effect 20 acked "$opt_rate"
    ;;
  database)
    consumer=$(show owner "$partition")
    heals mend_part "$consumer"
    strike "$consumer does not reach PostgreSQL ($opt_how)" cut_part "$consumer" postgres
    effect 25 partition-stands "$consumer" 4
    effect 10 acked "$opt_rate"
    ;;
  kafka)
    consumer=$(show owner "$partition")
    heals mend_part "$consumer"
    strike "$consumer does not reach Kafka ($opt_how)" cut_part "$consumer" kafka1 kafka2 kafka3
    effect 25 member-gone "$consumer"
    effect 25 owner-moved "$consumer"
    ;;
  *) die 2 "Cannot cut \"$opt_what\": --what must be broker, database or kafka" ;;
esac
outage
heal
recovered 30
verdict
