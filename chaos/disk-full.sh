#!/usr/bin/env bash
# Summary: a disk is full: of a broker, of PostgreSQL, or of a producer's spool; then there is room again.
# Usage:   chaos/disk-full.sh [--what broker|database|spool] [--seconds 20] [--rate 400] [--target compose|local]
#          The data moves to a small disk in memory (tmpfs, takes root), which is filled, and back in the end.
# After:   a broker: acknowledgements go on with the two others; PostgreSQL: readings wait in Kafka; a spool: its producer
#          takes no reading more than it can keep. All green within 60 s of the room, the moving back included.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
option seconds 20
opt_what=broker
begin "$@"
need_root 'fill a disk'

case $opt_what in
  broker)
    small_disk kafka3 96
    strike 'the disk of kafka3 is full' fill_disk kafka3
    effect 30 isr-without kafka3
    effect 15 acked "$opt_rate"
    ;;
  database)
    small_disk postgres 64
    strike 'the disk of PostgreSQL is full' fill_disk postgres
    effect 30 stored-stands 4
    effect 10 acked "$opt_rate"
    ;;
  spool)
    cramped=cramped-$$
    start_cramped "$cramped" "$opt_rate" 8
    until_seen 30 begin rate "$cramped" 10 >/dev/null || die 1 'Cannot begin: the producer on the small disk accepts nothing'
    strike 'the disk of a spool is full' fill_disk spool
    effect 30 accepted-stands "$cramped" 4
    ;;
  *) die 2 "Cannot fill \"$opt_what\": --what must be broker, database or spool" ;;
esac
outage
heal
recovered 60
verdict
