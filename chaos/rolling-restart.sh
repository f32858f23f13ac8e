#!/usr/bin/env bash
# Summary: the brokers are stopped and started one after the other, as for an upgrade: acknowledgements go on.
# Usage:   chaos/rolling-restart.sh [--rate 400] [--target compose|local]
# After:   never 10 s without an acknowledgement; all green within 30 s of the last return; nothing lost, doubled, made up.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
begin "$@"

roll() { # BROKER: the next one only when every copy is in sync again
  heals start_part "$1"
  strike "$1 is asked to stop" stop_part "$1"
  effect 20 refused "$1"
  effect 20 isr-without "$1"
  effect 10 acked "$opt_rate"
  undo
  effect 60 isr-full
}
for broker in kafka1 kafka2 kafka3; do roll "$broker"; done
heal
recovered 30
at_most 10 ack-stall
verdict
