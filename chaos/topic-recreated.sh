#!/usr/bin/env bash
# Summary: the topic is deleted and made again under the consumers: they stop loudly, and go on when a person has said so.
# Usage:   chaos/topic-recreated.sh [--seconds 10] [--rate 400] [--target compose|local]
#          The producers pause until everything is stored, because what a deleted topic still held is lost by definition.
# After:   the partitions stood still with an event within 20 s; after bun run topics --accept-new-log all is green within 30 s.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 10
accepts=0
begin "$@"

accept_new_log() { "$BUN" run topics --accept-new-log "${SENSOR_TOPIC:-sensor-data}" >>"$MINE/acts.log" 2>&1; }
again() {
  "$BUN" chaos/act/topic.ts >>"$MINE/acts.log" 2>&1 || return 1
  heals accept_new_log # never before: on a log that is whole it would begin anew
  start_load load "$opt_rate"
}
mapfile -t others < <(producer_parts)
stop_load load
stop_part "${others[@]}"
heals start_part "${others[@]}"
until_seen 30 calm drained >/dev/null || die 1 'Cannot begin: not everything was stored'
strike 'the topic is deleted and made again' again
effect 30 topic-stopped
effect 10 accepted-by load "$opt_rate"
outage
heal
recovered 30
verdict
