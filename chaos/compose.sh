#!/usr/bin/env bash
# Summary: how chaos scripts act on the containers of our compose project (sourced by chaos/lib.sh).
# Usage:   source chaos/compose.sh   CHAOS_PROJECT names the project (default smart-factory)
# A container counts as ours by the project's label, never by its name alone.
set -euo pipefail

PROJECT=${CHAOS_PROJECT:-smart-factory}
FILES=(-p "$PROJECT" --project-directory "$ROOT")
[ -z "${CHAOS_ENV_FILE:-}" ] || FILES+=(--env-file "$CHAOS_ENV_FILE")
HOW=(-j DROP)

compose() { docker compose "${FILES[@]}" "$@"; }

# The container of a service, running or not; one of a load goes by its name.
container() {
  local id
  id=$(docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1" \
    --filter label=com.docker.compose.oneoff=False)
  [ -n "$id" ] || id=$(docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "name=^$PROJECT-$1\$")
  [ -n "$id" ] || {
    say "Cannot strike $1: project $PROJECT has no such container"
    return 1
  }
  echo "$id"
}
containers() { for one in "$@"; do container "$one" || return 1; done; }

target_env() {
  docker ps -q --filter "label=com.docker.compose.project=$PROJECT" 2>/dev/null | grep -q . || return 1
  SPOOL_DIR=$(docker volume inspect -f '{{.Mountpoint}}' "${PROJECT}_spool")
  [ -r "$SPOOL_DIR" ] || die 69 "Cannot watch $SPOOL_DIR: chaos on containers takes root, on the machine whose engine it is"
  export SPOOL_DIR STATE_DIR PORT_OFFSET=0
}
target_put_away() {
  local one
  for one in "$MINE"/*.container; do
    [ -e "$one" ] || continue
    docker rm -f "$(cat "$one")" >/dev/null 2>&1 || true
    rm -f "$one"
  done
}

consumers() {
  docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Names}}' | sed -E "s/^$PROJECT-//" |
    grep -E '^consumer-[0-9]+$' | sort
}
kill_part() { containers "$@" | xargs docker kill >/dev/null; }
freeze_part() { containers "$@" | xargs docker pause >/dev/null; }
thaw_part() { for one in "$@"; do docker unpause "$(container "$one")" >/dev/null 2>&1 || true; done; }
wake() { kill -CONT "$(pid_of "$1")"; } # what was stopped by a signal, not by Docker
stop_part() { containers "$@" | xargs docker stop >/dev/null; }
start_part() {
  local id
  containers "$@" | xargs docker start >/dev/null
  for id in $(containers "$@"); do
    for _ in $(seq 240); do
      case $(docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}' "$id") in healthy) break ;; esac
      sleep 0.5
    done
  done
}
# A crash from within, which Docker answers by its restart policy; a kill by hand it takes for your will.
crash_part() { for one in "$@"; do kill -KILL "$(pid_of "$one")"; done; }

# The program itself, below the little init process where there is one.
pid_of() {
  local first
  first=$(docker inspect -f '{{.State.Pid}}' "$(container "$1")")
  case $(tr '\0' ' ' <"/proc/$first/cmdline") in
    */docker-init* | */tini*) pgrep -o -P "$first" ;;
    *) echo "$first" ;;
  esac
}

scale_consumers() { # COUNT: beyond the three of compose.yaml as containers of their own
  local n
  for n in 1 2 3 4 5; do
    if [ "$n" -le "$1" ] && [ "$n" -le 3 ]; then docker start "$(container "consumer-$n")" >/dev/null
    elif [ "$n" -le "$1" ]; then run_container "consumer-$n" -e "CONSUMER_ID=consumer-$n" -- consumer-1 consumer.ts
    elif [ "$n" -le 3 ]; then docker stop "$(container "consumer-$n")" >/dev/null
    elif [ -e "$MINE/consumer-$n.container" ]; then
      docker stop "$(cat "$MINE/consumer-$n.container")" >/dev/null
      docker rm "$(cat "$MINE/consumer-$n.container")" >/dev/null
      rm -f "$MINE/consumer-$n.container"
    fi
  done
}
run_container() { # NAME OPTION… -- SERVICE COMMAND…
  local name=$1 given=()
  shift
  while [ "$1" != -- ]; do
    given+=("$1")
    shift
  done
  shift
  [ ! -e "$MINE/$name.container" ] || return 0
  echo "$PROJECT-$name" >"$MINE/$name.container"
  compose run --detach --no-deps --name "$PROJECT-$name" -e LOG_FILE= "${given[@]}" "$@" >/dev/null 2>>"$MINE/acts.log"
}

ledger() { compose run --rm --no-deps -T verify --json --wait 60s 2>>"$MINE/acts.log" | grep '^{' | tail -n 1; }
producer_part() { echo temperature-sensor; }
producer_parts() { # all that measure, but loads
  docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.oneoff=False \
    --format '{{.Label "com.docker.compose.service"}}' | grep -E -- '-sensor$' | sort
}
port_of() {
  case $1 in
    kafka*) echo $((9090 + 2 * ${1#kafka})) ;;
    postgres) echo "${POSTGRES_PORT:-5432}" ;;
    monitor) echo "${MONITORING_PORT:-5000}" ;;
  esac
}
ports() { for part in kafka1 kafka2 kafka3 postgres monitor; do echo "$part=$(port_of "$part")"; done; }

start_load() { # NAME RATE
  if [ -e "$MINE/$1.container" ]; then
    docker start "$(cat "$MINE/$1.container")" >/dev/null
  else
    run_container "$1" -e "PRODUCER_ID=$1" -e SENSOR_TYPE= -e LOG_LEVEL=WARN -- temperature-sensor producer.ts --rate "$2"
  fi
}
start_load_in() { # DIR NAME RATE
  run_container "$2" -e "PRODUCER_ID=$2" -e SENSOR_TYPE= -e LOG_LEVEL=WARN -v "$1:/data/spool" -- temperature-sensor producer.ts --rate "$3"
}
kill_load() { docker kill "$(cat "$MINE/$1.container")" >/dev/null; }
stop_load() {
  [ -e "$MINE/$1.container" ] || return 0
  docker stop -t 20 "$(cat "$MINE/$1.container")" >/dev/null
  docker rm "$(cat "$MINE/$1.container")" >/dev/null
  rm -f "$MINE/$1.container"
}
start_shifted_load() { # NAME RATE CLOCKFILE
  run_container "$1" -e "PRODUCER_ID=$1" -e SENSOR_TYPE= -e LOG_LEVEL=WARN -e "CHAOS_CLOCK=/clock/${3##*/}" \
    -v "$CHAOS/act/clock.ts:/app/clock.ts:ro" -v "${3%/*}:/clock:ro" -- temperature-sensor --preload ./clock.ts producer.ts --rate "$2"
}

# ── the network: in the namespace of the container, from outside, so that it needs no capability ──
need_root() {
  if [ "$(id -u)" = 0 ] && command -v iptables nsenter >/dev/null; then return; fi
  die 69 "Cannot $1: it takes root, nsenter and iptables on this machine"
}
inside() { nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$(container "$1")")" -n "${@:2}"; }
address_of() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(container "$1")"; }

isolate_part() {
  inside "$1" iptables -w -I INPUT -p tcp ! -i lo "${HOW[@]}"
  inside "$1" iptables -w -I OUTPUT -p tcp ! -o lo "${HOW[@]}"
}
cut_part() {
  local peer
  for peer in "${@:2}"; do
    inside "$1" iptables -w -I INPUT -p tcp -s "$(address_of "$peer")" "${HOW[@]}"
    inside "$1" iptables -w -I OUTPUT -p tcp -d "$(address_of "$peer")" "${HOW[@]}"
  done
}
mend_part() {
  inside "$1" iptables -w -F INPUT
  inside "$1" iptables -w -F OUTPUT
}
# slow_network MS JITTER BYTES: what comes in for Kafka and PostgreSQL is led through a proxy of ours, which runs in the
# network of the container and reaches the server over its loopback.
slow_network() {
  local part port
  for part in kafka1 kafka2 kafka3 postgres; do
    port=$(inner_port_of "$part")
    setsid nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$(container "$part")")" -n "$BUN" chaos/act/proxy.ts 7 "$port" \
      --host 0.0.0.0 --latency "$1" --jitter "$2" --rate "$3" >"$MINE/proxy-$part.log" 2>&1 &
    echo $! >"$MINE/proxy-$part.pid"
    for _ in $(seq 50); do
      [ ! -s "$MINE/proxy-$part.log" ] || break
      sleep 0.1
    done
    inside "$part" iptables -w -t nat -A PREROUTING -i eth0 -p tcp --dport "$port" -j REDIRECT --to-ports 7
    inside "$part" ss -K sport = ":$port" >/dev/null 2>&1 || true # those that are open come back through it
  done
}
quick_network() {
  local part
  for part in kafka1 kafka2 kafka3 postgres; do
    while inside "$part" iptables -w -t nat -D PREROUTING -i eth0 -p tcp --dport "$(inner_port_of "$part")" -j REDIRECT --to-ports 7 2>/dev/null; do :; done
    if [ -e "$MINE/proxy-$part.pid" ]; then
      end_ours "$(cat "$MINE/proxy-$part.pid")"
      rm -f "$MINE/proxy-$part.pid"
    fi
  done
}
inner_port_of() { if [ "$1" = postgres ]; then echo 5432; else echo 29092; fi; }

data_of() {
  case $1 in
    kafka*) docker volume inspect -f '{{.Mountpoint}}' "${PROJECT}_$1-data" ;;
    postgres) docker volume inspect -f '{{.Mountpoint}}' "${PROJECT}_postgres-data" ;;
    spool) echo "$SPOOL_DIR" ;;
  esac
}
