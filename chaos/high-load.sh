#!/usr/bin/env bash
# Summary: ten times the load for a while: memory and spool stay bounded, and what piled up is worked off.
# Usage:   chaos/high-load.sh [--seconds 40] [--times 10] [--rate 400] [--target compose|local]
# After:   all green within 30 s of its end; nothing lost; no program of ours above 300 MiB.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 40
opt_times=10
page='/#flow'
begin "$@"

heals stop_load surge
strike "$((opt_times * opt_rate)) readings/s more" start_load surge $((opt_times * opt_rate))
effect 20 rate surge $((opt_times * opt_rate * 6 / 10))
outage
heal
recovered 30
at_most 300 memory
verdict
