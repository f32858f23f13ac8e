#!/usr/bin/env bash
# Summary: hundreds of broken messages among good ones: each is stored with its flag or a dead letter with its reason.
# Usage:   chaos/poison.sh [--topic sensor-data] [--json on] [--seconds 60] [--target compose|local]
#          Prints one line a message: what it is and what became of it. --seconds: how long the consumers may take.
# After:   exit 0 when every fate is the one that chaos/catalogue.ts tells; the ledger knows what of it was to be stored.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 60
opt_topic=
opt_json=
options "$@"
choose_target

flags=(--wait "$opt_seconds")
[ -z "$opt_topic" ] || flags+=(--topic "$opt_topic")
[ -z "$opt_json" ] || flags+=(--json)
[ "$INJECT" = on ] || flags+=(--dry-run)
code=0
"$BUN" chaos/act/poison.ts "${flags[@]}" || code=$?
LEDGER=$(MINE=$(mktemp -d) ledger) || true
say "verify: ${LEDGER:-no report}"
[[ $LEDGER =~ \"lost\":0,\"duplicated\":0,\"phantom\":0 ]] || code=1
exit $code
