#!/usr/bin/env bash
# Summary: every two seconds the database ends all connections of our programs: each transaction is whole or not there.
# Usage:   chaos/backend-kills.sh [--seconds 20] [--rate 400] [--target compose|local]
# After:   storing went on between the kills; all green within 10 s; nothing lost, doubled or made up.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 20
begin "$@"

strike 'pg_terminate_backend of all, every 2 s' "$BUN" chaos/act/backends.ts "$opt_seconds"
effect 5 backends-new
effect 5 stored "$opt_rate"
effect 5 acked "$opt_rate"
heal
recovered 10
verdict
