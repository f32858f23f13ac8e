#!/usr/bin/env bash
# Summary: the monitor is flooded with 500 event streams and requests without end, then killed: the pipeline does not notice.
# Usage:   chaos/monitor-flood.sh [--seconds 20] [--streams 500] [--rate 400] [--target compose|local]
# After:   storing never stood for 2 s; the monitor answers again, and all is green, within 10 s.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 20
opt_streams=500
begin "$@"

flood() {
  local got
  got=$("$BUN" chaos/act/flood.ts "$(port_of monitor)" "$opt_streams" "$opt_seconds")
  say "the flood got $got"
  event effect "flood $got"
  [[ $got =~ \"streams\":([0-9]+),\"streams_refused\":([0-9]+),\"answers\":([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 1 ] &&
    [ $((BASH_REMATCH[1] + BASH_REMATCH[2])) -ge $((opt_streams * 8 / 10)) ] && [ "${BASH_REMATCH[3]}" -ge 100 ] || return 1
  kill_part monitor
}
heals start_part monitor
strike "$opt_streams streams and requests without end for $opt_seconds s, then kill -9 of the monitor" flood
effect 10 refused monitor
effect 5 stored "$((opt_rate * opt_seconds / 2))"
heal
recovered 10
at_most 2 store-stall
verdict
