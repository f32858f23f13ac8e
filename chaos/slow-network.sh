#!/usr/bin/env bash
# Summary: the network is slow: every packet to Kafka and PostgreSQL waits, and few pass at a time.
# Usage:   chaos/slow-network.sh [--seconds 40] [--latency 100] [--jitter 50] [--bytes 250000] [--rate 400] [--target compose|local]
#          Milliseconds each way, bytes a second of each connection. Takes root: connections to our own ports are led
#          through a proxy of ours, on this machine or in the container's own network.
# After:   readings were stored meanwhile, nobody was taken for dead; all green within 15 s; nothing lost or doubled.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 40
opt_latency=100
opt_jitter=50
opt_bytes=250000
begin "$@"
need_root 'slow the network'

heals quick_network
strike "$opt_latency ± $opt_jitter ms each way, $opt_bytes bytes/s" slow_network "$opt_latency" "$opt_jitter" "$opt_bytes"
effect 20 slow $(((opt_latency - opt_jitter) * 2))
effect 30 stored "$opt_rate"
outage
effect 1 members "$MEMBERS"
heal
recovered 15
verdict
