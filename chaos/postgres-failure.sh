#!/usr/bin/env bash
# Summary: PostgreSQL is killed (SIGKILL) and comes back: readings wait in Kafka, the page says how old its figures are.
# Usage:   chaos/postgres-failure.sh [--seconds 15] [--rate 400] [--target compose|local]
# After:   acknowledgements never stopped; all green within 10 s of its return; nothing became a dead letter for it.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 15
begin "$@"

heals start_part postgres
strike 'kill -9 of postgres' kill_part postgres
effect 10 refused postgres
effect 10 database-silent
effect 10 acked "$opt_rate"
effect 15 api 503
effect 5 answers monitor
outage
heal
recovered 10
verdict
