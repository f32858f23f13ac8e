#!/usr/bin/env bash
# Summary: hundreds of broken messages among good ones: each is stored with its flag or a dead letter with its reason.
# Usage:   chaos/poison.sh [--topic sensor-data] [--json on] [--seconds 60] [--rate 400] [--target compose|local]
#          Prints one line a message: what it is and what became of it. --seconds: how long the consumers may take.
#          Topic sensor.raw gets a list of its own, broken Avro; on any other topic nothing of the list is a reading.
# After:   every fate is the one that chaos/catalogue.ts (chaos/poison/avro.ts) tells; the good messages beside them never stood for 5 s; all
#          green within 10 s; the ledger knows what of it was to be stored.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 60
opt_topic=
opt_json=
page=/dead-letters
begin "$@"

publish() {
  local flags=(--wait "$opt_seconds")
  [ -z "$opt_topic" ] || flags+=(--topic "$opt_topic")
  [ -z "$opt_json" ] || flags+=(--json)
  "$BUN" chaos/act/poison.ts "${flags[@]}"
}
strike 'broken messages' publish
effect 5 dead-letters 100
heal
recovered 10
at_most 5 store-stall
verdict
