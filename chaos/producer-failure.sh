#!/usr/bin/env bash
# Summary: a producer is killed (SIGKILL) in the middle of sending: what it had accepted is sent when it is back.
# Usage:   chaos/producer-failure.sh [--seconds 10] [--rate 400] [--target compose|local]
#          It strikes the producer of the load, and the one of the plant (temperature-sensor in containers).
# After:   the readings that waited in its spool are sent, and all is green, within 10 s of its return; none is sent twice
#          into the tables.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 10
begin "$@"

other=$(producer_part)
back() {
  start_load load "$opt_rate"
  start_part "$other"
}
# Somebody has to measure meanwhile: a producer that is left alone.
start_load bystander 100
heals stop_load bystander
until_seen 30 calm accepted-by bystander 100 >/dev/null || die 1 'Cannot begin: the second producer accepts nothing'
crash() {
  kill_load load
  kill_part "$other"
}
heals back
strike "kill -9 of the load and of $other" crash
effect 10 accepted-stands load 3
effect 10 accepted-by bystander 100
effect 10 accepted-stands "$other" 3
outage
heal
effect 20 accepted-by load "$opt_rate"
effect 20 spool-empty load "$opt_rate"
recovered 10
verdict
