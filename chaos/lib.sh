#!/usr/bin/env bash
# Summary: what every chaos script is made of: begin, strike, effect, outage, heal, recovered, verdict.
# Usage:   source chaos/lib.sh   (in a script), or   bash chaos/lib.sh guard PID START RUN   (by itself, see guard())
#
# A script reads as its story:
#   option seconds 20          another default than 30; opt_what=x declares an option of its own: --what y
#   begin "$@"                 finds the system, watches it, lets readings flow, waits until all is well
#   heals start_part kafka2    says first how the damage is undone
#   strike 'what' COMMAND…     does it (not with CHAOS_INJECT=off)
#   effect 20 CONDITION…       the damage, or what must go on meanwhile, has to be seen within so many seconds
#   outage                     until opt_seconds after the strike
#   heal                       undoes it
#   recovered 30               all has to be green so many seconds after what was struck is there again
#   verdict                    the ledger, one line, exit 0 or 1
#
# After:   what was struck is healed, however the script ended: a guard outlives it. Conditions: chaos/watch/conditions.ts.
# Acts on our own compose project or the processes of our own state folder alone (chaos/compose.sh, chaos/local.sh).
set -euo pipefail

CHAOS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${CHAOS%/*}
BUN=${BUN:-bun}
FAULT=$(basename "$0" .sh)
INJECT=${CHAOS_INJECT:-on}
SEED=${CHAOS_SEED:-$RANDOM}
STATE_DIR=${STATE_DIR:-$ROOT/.factory}
WORK=$STATE_DIR/chaos
cd "$ROOT"

opt_seconds=30
opt_rate=${CHAOS_RATE:-400}
opt_target=${CHAOS_TARGET:-}
faults=()
LIMITS=
VARIANT=
RECOVERY=
BOUND=0
page=/incidents # the one that tells of this fault

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
# die CODE WORDS: nothing was struck, nothing is to be judged
die() {
  say "${*:2}"
  exit "$1"
}

option() { printf -v "opt_$1" '%s' "$2"; }

# The comment at the top of the script is its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"; }

options() {
  while [ $# -gt 0 ]; do
    local name=${1#--}
    name=opt_${name//-/_}
    case $1 in
      -h | --help)
        usage
        exit 0
        ;;
      --*)
        if [ -z "${!name+set}" ] || [ $# -lt 2 ]; then die 2 "Cannot read $1: unknown, or without a value: --help shows the way"; fi
        printf -v "$name" '%s' "$2"
        case $1 in --when | --what | --how | --victim) VARIANT+="${VARIANT:+ }$2" ;; esac
        shift 2
        ;;
      *) die 2 "Cannot read \"$1\": --help shows the way" ;;
    esac
  done
}

# Compose where its project runs, otherwise the local processes.
choose_target() {
  if [ -z "$opt_target" ]; then
    opt_target=local
    if compose_runs; then opt_target=compose; fi
  fi
  case $opt_target in
    compose | local)
      # shellcheck source=/dev/null
      source "$CHAOS/$opt_target.sh"
      ;;
    *) die 2 "Cannot strike \"$opt_target\": --target must be compose or local" ;;
  esac
  target_env || die 69 "Cannot strike: nothing of ours runs as $opt_target: bun start --detach, docker compose up -d, or chaos/run, which brings it up itself"
}

compose_runs() {
  command -v docker >/dev/null 2>&1 &&
    [ -n "$(docker ps -q --filter "label=com.docker.compose.project=${CHAOS_PROJECT:-smart-factory}" 2>/dev/null)" ]
}

begin() {
  options "$@"
  choose_target
  RUN=${CHAOS_RUN:-$WORK/runs/$(date -u +%Y%m%dT%H%M%S)-$FAULT-$$}
  MINE=$RUN/$FAULT-$$ # what this script must undo
  mkdir -p "$MINE"
  : >"$MINE/heal"
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  guard
  export FAULT
  MEMBERS=$(consumers | wc -l)
  event begin "$(usage | sed -n 's/^Summary: *//p')"
  say "$FAULT on $opt_target, seed $SEED: $(usage | sed -n 's/^Summary: *//p')"
  if [ -z "${CHAOS_RUN:-}" ]; then
    observe
    [ "$opt_rate" = 0 ] || start_load load "$opt_rate"
    local seen
    seen=$(until_seen 90 begin green "$MEMBERS" "$(whole_rate)") || die 1 "Cannot begin: it is not well before the first strike: $seen"
    sleep 3 # calm, so that the picture shows what was normal
  fi
  event calm ''
}

# readings a second of the load and the plant
whole_rate() { echo $((opt_rate + 50)); }

observe() {
  # shellcheck disable=SC2046
  setsid "$BUN" chaos/watch/observe.ts "$RUN" $(ports) >"$MINE/observer.log" 2>&1 &
  echo $! >"$MINE/observer.pid"
}

event() { printf '{"t":%s,"event":"%s","by":"%s","what":"%s"}\n' "$(date +%s%3N)" "$1" "$FAULT" "${2//\"/\'}" >>"$RUN/events.jsonl"; }
until_seen() { "$BUN" chaos/watch/until.ts "$RUN" "$@"; }
show() { "$BUN" chaos/watch/until.ts "$RUN" show "$@"; }

# A number below N, from the seed: the same seed strikes the same way.
random() {
  SEED=$(((SEED * 1103515245 + 12345) % 2147483648))
  REPLY=$((SEED / 65536 % $1))
}

heals() { printf '%q ' "$@" >>"$MINE/heal" && echo >>"$MINE/heal"; }

strike() {
  event strike "$1"
  if [ "$INJECT" = off ]; then
    say "not injected: $1"
    return
  fi
  say "strikes: $1"
  "${@:2}" || faults+=("the strike failed: $1")
}

# effect SECONDS CONDITION…: once one is missing, the others are not waited for.
effect() {
  [ ${#faults[@]} -eq 0 ] || return 0
  local seen
  if seen=$(until_seen "$1" strike "${@:2}"); then
    say "seen after $seen s: ${*:2}"
    event effect "${*:2}"
  else
    faults+=("not seen within $1 s: ${*:2}: $seen")
    say "NOT SEEN within $1 s: ${*:2}: $seen"
  fi
}

outage() {
  [ ${#faults[@]} -eq 0 ] || return 0
  say "lasts $opt_seconds s"
  until_seen "$opt_seconds" strike passed "$opt_seconds" >/dev/null || true
}

heal() {
  effect 10 accepted "${accepts:-$((opt_rate > 0 ? opt_rate : 10))}"
  picture
  event heal ''
  say heals
  undo
  event healed ''
}

# CHAOS_PICTURES=DIR keeps what the page shows just before each fault is healed.
picture() {
  [ -z "${CHAOS_PICTURES:-}" ] || "$BUN" chaos/act/picture.ts "http://127.0.0.1:$(port_of monitor)$page" "$CHAOS_PICTURES/$FAULT.png" ||
    say 'no picture of the page could be taken'
}

# Line by line, the last damage first; a line is crossed out when it is done.
undo() {
  while [ -s "$MINE/heal" ]; do
    eval "$(tail -n 1 "$MINE/heal")" || faults+=("not healed: $(tail -n 1 "$MINE/heal")")
    sed -i '$d' "$MINE/heal"
  done
}

recovered() {
  BOUND=$1
  [ -z "${CHAOS_RUN:-}" ] || return 0
  local seen
  if seen=$(until_seen "$1" healed green "$MEMBERS" "$(whole_rate)"); then
    RECOVERY=$seen
    event recovered ''
    say "green after $seen s"
  else
    faults+=("not green: $seen")
    say "NOT GREEN within $1 s: $seen"
  fi
}

# at_most N ack-stall|store-stall|memory: a figure of the whole run (seconds, MiB) has a limit, too.
at_most() { LIMITS+="$2 $1"$'\n'; }

verdict() {
  local code=0
  if [ -n "${CHAOS_RUN:-}" ]; then # one of several at once: whoever started us judges the whole
    if [ ${#faults[@]} -eq 0 ]; then say "done: $FAULT"; else say "$FAULT: ${faults[*]}"; fi
    exit $((${#faults[@]} > 0))
  fi
  event judge ''
  [ "$opt_rate" = 0 ] || stop_load load
  LEDGER=$(ledger) || true
  [ -n "$LEDGER" ] || faults+=('verify gave no report')
  sleep 1 # the last sample has it all
  TARGET=$opt_target RATE=$opt_rate COMMIT=$(commit) FAULTS=$(printf '%s\n' "${faults[@]+"${faults[@]}"}") \
    SEED=${CHAOS_SEED:-$SEED} BOUND=$BOUND RECOVERY=$RECOVERY LEDGER=$LEDGER LIMITS=$LIMITS VARIANT=$VARIANT \
    "$BUN" chaos/watch/verdict.ts "$RUN" "$WORK/runs.jsonl" || code=1
  say "kept in ${RUN#"$ROOT"/}"
  exit $code
}

commit() { git rev-parse --short HEAD 2>/dev/null || echo unknown; }

finish() {
  local code=$?
  trap - EXIT
  undo
  put_away
  exit $code
}

# Ends what this script has started, and nothing else.
put_away() {
  local pid
  for pid in "$MINE"/*.pid; do
    [ -e "$pid" ] || continue
    end_ours "$(cat "$pid")"
    rm -f "$pid"
  done
  target_put_away
}

end_ours() {
  kill -CONT "$1" 2>/dev/null || return 0
  kill -TERM "$1" 2>/dev/null || true
  for _ in $(seq 80); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

# ── small disks ──
# small_disk PART MIB: its data moves to a disk in memory with so much room left; healing moves it back.
small_disk() {
  local dir
  dir=$(data_of "$1")
  heals big_disk "$1" "$dir"
  stop_part "$1"
  rm -rf "$dir.moved"
  cp -a "$dir" "$dir.moved"
  mount -t tmpfs -o "size=$(($(du -sm "$dir" | cut -f1) + $2))m" tmpfs "$dir"
  chown --reference="$dir.moved" "$dir"
  chmod --reference="$dir.moved" "$dir"
  cp -a "$dir.moved/." "$dir/"
  rm -rf "$dir.moved"
  start_part "$1"
  until_seen 90 begin green "$MEMBERS" "$(whole_rate)" >/dev/null || die 1 "Cannot begin: not well after $1 has moved to the small disk"
}
big_disk() { # PART DIR
  empty_disk "$1"
  stop_part "$1"
  if mountpoint -q "$2"; then
    rm -rf "$2.moved"
    cp -a "$2" "$2.moved"
    umount "$2"
    rm -rf "$2"
    mv "$2.moved" "$2"
  fi
  start_part "$1"
}
# A producer whose spool lies on a small disk of its own; a link beside the other spools lets the observer look into it.
start_cramped() { # PRODUCER RATE MIB
  local dir=$MINE/disk
  mkdir -p "$dir"
  heals keep_spool "$1"
  mount -t tmpfs -o "size=$3m" tmpfs "$dir"
  chown --reference="$SPOOL_DIR" "$dir"
  ln -s "$dir/$1.sqlite" "$SPOOL_DIR/$1.sqlite"
  heals stop_load "$1"
  heals empty_disk spool
  start_load_in "$dir" "$1" "$2"
}
# Its record goes to where the others are: the ledger must know what it has accepted.
keep_spool() {
  rm -f "$SPOOL_DIR/$1.sqlite"
  cp -a "$MINE/disk/$1".sqlite* "$SPOOL_DIR/" && umount "$MINE/disk"
}
disk_of() { if [ "$1" = spool ]; then echo "$MINE/disk"; else data_of "$1"; fi; }
fill_disk() { dd if=/dev/zero "of=$(disk_of "$1")/filler" bs=64k 2>/dev/null || true; }
empty_disk() { rm -f "$(disk_of "$1")/filler"; }

started_at() { cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null || ps -o lstart= -p "$1" || true; }

# Outlives us in a session of its own: heals when we are gone without having healed, by kill -9 for one.
guard() {
  setsid env MINE="$MINE" RUN="$RUN" FAULT="$FAULT" opt_target="$opt_target" bash "$CHAOS/lib.sh" guard $$ "$(started_at $$)" \
    </dev/null >"$MINE/guard.log" 2>&1 &
}

if [ "${BASH_SOURCE[0]}" = "$0" ] && [ "${1:-}" = guard ]; then
  while [ "$(started_at "$2")" = "$3" ]; do sleep 0.3; done
  [ -s "$MINE/heal" ] || ls "$MINE"/*.pid >/dev/null 2>&1 || exit 0
  choose_target
  undo
  put_away
fi
