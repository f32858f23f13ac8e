#!/usr/bin/env bash
# Summary: the clock of a producer jumps an hour back and thirty days ahead: its readings are marked, and alarm nobody.
# Usage:   chaos/clock-jump.sh [--seconds 20] [--rate 400] [--target compose|local]
# After:   every reading is stored, those with a time that can't be right say so; no storm of alarms; all green within 15 s.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 20
export CHAOS_TIMES=on
begin "$@"

jump() { echo "$1" >"$MINE/clock/seconds"; }
mkdir -p "$MINE/clock"
jump 0
start_shifted_load shifted 50 "$MINE/clock/seconds"
heals stop_load shifted
heals jump 0
until_seen 30 calm accepted-by shifted 100 >/dev/null || die 1 'Cannot begin: the producer with a clock of its own accepts nothing'
strike 'its clock goes an hour back' jump -3600
effect 15 wrong-times 100
strike 'its clock goes thirty days ahead' jump $((30 * 86400))
effect 15 wrong-times 100
effect 15 stored "$opt_rate"
outage
effect 1 alarms-at-most 60 # what the load itself raises in that time
heal
recovered 15
verdict
