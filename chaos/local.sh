#!/usr/bin/env bash
# Summary: how chaos scripts act on the processes that bun start runs on this machine (sourced by chaos/lib.sh).
# Usage:   source chaos/local.sh
# Every act goes through chaos/act/local.ts, which knows a process by its pid and its start time.
set -euo pipefail

act() { "$BUN" chaos/act/local.ts "$@"; }

target_env() {
  local lines
  lines=$(act env 2>/dev/null) || return 1
  eval "$lines"
}
target_put_away() { :; }

# the sinks beside them are a group each of their own
consumers() { act names consumers | sed -n '/^consumer-/p'; }
kill_part() { act kill "$@"; }
crash_part() { act crash "$@"; }
freeze_part() { act freeze "$@"; }
thaw_part() { act thaw "$@"; }
wake() { thaw_part "$1"; }
stop_part() { act stop "$@"; }
start_part() { act start "$@"; }
pid_of() { act pid "$1"; }
scale_consumers() { "$BUN" run consumers --count "$1" >/dev/null 2>>"${MINE:?}/acts.log"; }
ledger() { "$BUN" run verify --json --wait 60s 2>>"$MINE/acts.log" | grep '^{' | tail -n 1; }
# the first of what the fleet has: plant, soda, iot
producer_part() {
  local names
  names=$(act names producers)
  [ -n "$names" ] || die 69 'Cannot strike a producer: none of the fleet runs'
  echo "${names%%$'\n'*}"
}
producer_parts() { producer_part; }

port_of() {
  case $1 in
    kafka*) echo $((9090 + 2 * ${1#kafka} + PORT_OFFSET)) ;;
    postgres) sed -E 's#.*:([0-9]+)/.*#\1#' <<<"$DATABASE_URL" ;;
    monitor) echo "$MONITORING_PORT" ;;
  esac
}
ports() { for part in kafka1 kafka2 kafka3 postgres monitor; do echo "$part=$(port_of "$part")"; done; }

# ── a producer beside the plant ──
start_load() { # NAME RATE
  PRODUCER_ID=$1 LOG_LEVEL=WARN setsid "$BUN" run producer.ts --rate "$2" </dev/null >>"$MINE/$1.log" 2>&1 &
  echo $! >"$MINE/$1.pid"
}
start_load_in() { SPOOL_DIR=$1 start_load "$2" "$3"; } # DIR NAME RATE
kill_load() { kill -KILL "$(cat "$MINE/$1.pid")" && rm -f "$MINE/$1.pid"; }
stop_load() {
  [ -e "$MINE/$1.pid" ] || return 0
  end_ours "$(cat "$MINE/$1.pid")"
  rm -f "$MINE/$1.pid"
}
start_shifted_load() { # NAME RATE CLOCKFILE
  PRODUCER_ID=$1 LOG_LEVEL=WARN CHAOS_CLOCK=$3 setsid "$BUN" run --preload ./chaos/act/clock.ts producer.ts --rate "$2" \
    </dev/null >>"$MINE/$1.log" 2>&1 &
  echo $! >"$MINE/$1.pid"
}

# ── the network: packets on loopback, told apart by the control group of the process that sends them ──
HOW=(-j DROP)
need_root() {
  if [ "$(id -u)" = 0 ] && iptables -w -S OUTPUT >/dev/null 2>&1; then return; fi
  die 69 "Cannot $1: it takes root and iptables on this machine"
}
groups_dir() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }
chain_of() { echo "CHAOS-$1-$((PORT_OFFSET % 100000))"; }

# isolate_part NAME: nobody reaches it, and it reaches no broker. cut_part NAME PEER…: these two don't reach each other.
isolate_part() { cut_off "$1" own kafka1 kafka2 kafka3; }
cut_part() { cut_off "$1" '' "${@:2}"; }

cut_off() { # NAME own|'' PEER…
  local name=$1 own=$2 chain group pid peer port ports=()
  shift 2
  chain=$(chain_of "$name")
  pid=$(pid_of "$name")
  group=$(groups_dir)/factory-$chain
  for peer in "$@"; do
    [ "$peer" != "$name" ] || continue
    ports+=("$(port_of "$peer")")
    [[ $peer != kafka* || $name != kafka* ]] || ports+=($(($(port_of "$peer") + 1))) # its controller
  done
  mkdir -p "$group"
  sed -n 's/^0:://p' "/proc/$pid/cgroup" >"$MINE/$name.group"
  echo "$pid" >"$group/cgroup.procs"
  iptables -w -N "$chain"
  for port in "${ports[@]}"; do
    iptables -w -A "$chain" -p tcp -m cgroup --path "factory-$chain" --dport "$port" "${HOW[@]}"
  done
  if [ "$own" = own ]; then
    for port in $(port_of "$name") $(($(port_of "$name") + 1)); do
      iptables -w -A "$chain" -p tcp --dport "$port" "${HOW[@]}"
      iptables -w -A "$chain" -p tcp --sport "$port" -j DROP
    done
  fi
  # Connections that are open already belong to the group that the process was in.
  ss -tnpH | grep "pid=$pid," | awk '{ print $4, $5 }' | sed -E 's/\S*:([0-9]+) \S*:([0-9]+)/\1 \2/' | while read -r mine theirs; do
    for port in "${ports[@]}"; do
      [ "$theirs" != "$port" ] || iptables -w -A "$chain" -p tcp --sport "$mine" --dport "$theirs" "${HOW[@]}"
    done
  done
  iptables -w -I OUTPUT -o lo -j "$chain"
}

mend_part() {
  local name=$1 chain group back
  chain=$(chain_of "$name")
  group=$(groups_dir)/factory-$chain
  while iptables -w -D OUTPUT -o lo -j "$chain" 2>/dev/null; do :; done
  iptables -w -F "$chain" 2>/dev/null && iptables -w -X "$chain"
  [ -d "$group" ] || return 0
  back=$(groups_dir)$(cat "$MINE/$name.group" 2>/dev/null || true)
  while read -r pid; do echo "$pid" >"$back/cgroup.procs" 2>/dev/null || true; done <"$group/cgroup.procs"
  rmdir "$group" 2>/dev/null || true
}

# slow_network MS JITTER BYTES: every connection to Kafka and PostgreSQL is led through a proxy. Its own connections come
# from ports above those that the system gives out, so that they are not led back into it.
OWN_PORTS=61000:65535
slow_network() {
  local part port proxy
  for part in kafka1 kafka2 kafka3 postgres; do
    port=$(port_of "$part")
    proxy=$(proxy_port "$port")
    setsid "$BUN" chaos/act/proxy.ts "$proxy" "$port" --latency "$1" --jitter "$2" --rate "$3" >"$MINE/proxy-$part.log" 2>&1 &
    echo $! >"$MINE/proxy-$part.pid"
    for _ in $(seq 50); do
      [ ! -s "$MINE/proxy-$part.log" ] || break
      sleep 0.1
    done
    iptables -w -t nat -A OUTPUT -o lo -p tcp ! --sport "$OWN_PORTS" --dport "$port" -j REDIRECT --to-ports "$proxy"
    ss -K dst 127.0.0.1 dport = "$port" >/dev/null 2>&1 || true # those that are open come back through it
    ss -K dst ::1 dport = "$port" >/dev/null 2>&1 || true
  done
}
proxy_port() { echo $(($1 + 507)); } # beside all ports of ours
quick_network() {
  local part port
  for part in kafka1 kafka2 kafka3 postgres; do
    port=$(port_of "$part")
    while iptables -w -t nat -D OUTPUT -o lo -p tcp ! --sport "$OWN_PORTS" --dport "$port" -j REDIRECT --to-ports "$(proxy_port "$port")" 2>/dev/null; do :; done
    if [ -e "$MINE/proxy-$part.pid" ]; then
      end_ours "$(cat "$MINE/proxy-$part.pid")"
      rm -f "$MINE/proxy-$part.pid"
    fi
  done
}

data_of() {
  case $1 in
    kafka*) echo "$STATE_DIR/$1/data" ;;
    postgres) echo "$STATE_DIR/postgres/data" ;;
    spool) echo "$SPOOL_DIR" ;;
  esac
}
