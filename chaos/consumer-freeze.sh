#!/usr/bin/env bash
# Summary: a consumer is frozen (SIGSTOP) for longer than its session and wakes as a zombie: it must not write a row.
# Usage:   chaos/consumer-freeze.sh [--when idle|batch|transaction] [--seconds 30] [--rate 400] [--target compose|local]
#          idle: only the plant's few readings flow; batch: at any moment under load; transaction: caught between its BEGIN
#          and its COMMIT, holding the row of its partition (2,000 readings/s: a few rows need no transaction of their own)
# After:   its partitions are stored by others within 20 s; all green within 15 s of its waking; nothing doubled.
set -euo pipefail
# shellcheck source=chaos/lib.sh
source "${BASH_SOURCE[0]%/*}/lib.sh"
opt_when='batch'
for word in "$@"; do
  case $word in
    idle) option rate 0 ;;
    transaction) option rate 2000 ;;
  esac
done
begin "$@"

in_transaction() {
  "$BUN" chaos/act/freeze-in-transaction.ts "$1" "$(pid_of "$1")"
}
random 3
consumer=$(show owner "$REPLY")
heals thaw_part "$consumer"
case $opt_when in
  idle) strike "freeze of $consumer, idle" freeze_part "$consumer" ;;
  batch) strike "freeze of $consumer, under load" freeze_part "$consumer" ;;
  transaction)
    strike "freeze of $consumer inside a transaction" in_transaction "$consumer"
    heals wake "$consumer"
    ;;
  *) die 2 "Cannot freeze \"$opt_when\": --when must be idle, batch or transaction" ;;
esac
effect 20 member-gone "$consumer"
effect 20 owner-moved "$consumer"
outage
heal
recovered 15
verdict
