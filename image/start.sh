#!/usr/bin/env bash
# Runs MLflow, oauth2-proxy (unless IAP_AUDIENCE says that Identity-Aware Proxy is the gate) and HAProxy (the edge) as one: the port opens when MLflow answers, and the container ends
# when any of them does. Under `tini -g`, which sends a signal to this process group.
#
#   start.sh [serve]            the service (default)
#   start.sh db-upgrade         create or migrate the database's schema
#   start.sh JOB [OPTION ...]   a job of mlflow_cloudrun/jobs, which ends by itself
#   start.sh version            what is in the image
set -euo pipefail

readonly PYTHON=/opt/mlflow/bin/python
readonly PROXY=/usr/local/bin/oauth2-proxy
readonly PROXY_FOLDER=/tmp/oauth2-proxy
readonly EDGE=/usr/sbin/haproxy
readonly EDGE_CONFIG=/opt/image/haproxy.cfg
# What the two in front of MLflow log, which MLflow's process hands on as its own lines (mlflow_cloudrun/front.py).
readonly FRONT_LOG=$PROXY_FOLDER/log
readonly MLFLOW_PORT=8080
# Cloud Run kills 10 s after TERM: https://cloud.google.com/run/docs/container-contract#instance-shutdown
readonly DRAIN_SECONDS=5 PROXY_STOP_SECONDS=1 MLFLOW_STOP_SECONDS=3
# A hung MLflow ends the container after at most PROBE_FAILURES * (PROBE_INTERVAL + PROBE_TIMEOUT) = 30 s.
readonly PROBE_INTERVAL=5 PROBE_TIMEOUT=5 PROBE_FAILURES=3
readonly EX_USAGE=64 EX_SOFTWARE=70

# The log has a descriptor of its own, for `serve` silences what bash itself says.
exec {log_fd}>&2
log() { printf '{"severity":"%s","logger":"start.sh","message":"%s"}\n' "$1" "$2" >&"$log_fd"; }

check_environment() { "$PYTHON" -m mlflow_cloudrun.settings "$1" "$PROXY_FOLDER" 2>&"$log_fd"; }

# All three leave this process group, so that tini's signal does not reach them and each outlives those in front of it.
start_mlflow() {
  mkfifo "$FRONT_LOG" 2>&"$log_fd"
  # While this is open, nobody waits for the other end, and no end is the last one.
  # shellcheck disable=SC2034  # it is only held
  exec {held}<>"$FRONT_LOG"
  setsid "$PYTHON" -m mlflow_cloudrun serve "$PROXY_FOLDER" <"$FRONT_LOG" 2>&"$log_fd" &
  mlflow=$!
}

# An empty environment: oauth2-proxy reads any OAUTH2_PROXY_ variable, and needs no database password.
# It shares the CPU with MLflow, which is one process: one thread at a time is enough, and some MiB more of heap save it
# most collections. Together they take a fifth off its CPU time per request. Near the limit it collects at any price.
# https://pkg.go.dev/runtime#hdr-Environment_Variables
start_proxy() {
  setsid env -i GOMAXPROCS=1 GOGC=400 GOMEMLIMIT=64MiB "$PROXY" --config "$PROXY_FOLDER/oauth2-proxy.cfg" \
    >"$FRONT_LOG" 2>&1 &
  proxy=$!
}

# It opens the port, so it comes last.
start_edge() {
  setsid env -i ${IAP_AUDIENCE:+GATE=iap} PORT="$PORT" REQUEST_TIMEOUT_SECONDS="$REQUEST_TIMEOUT_SECONDS" \
    "$EDGE" -db -q -f "$EDGE_CONFIG" 3>"$FRONT_LOG" &
  edge=$!
}

# answers PORT: the health check says 200 in time.
answers() {
  # shellcheck disable=SC2016  # expanded by the inner shell
  timeout "$PROBE_TIMEOUT" bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" >&3
    read -r _ status _ <&3 && [[ "$status" == 200 ]]
  ' probe "$1" 2>/dev/null
}

# listens PORT: a connection is taken. One fork; `answers` costs several, on the CPU that MLflow starts on.
listens() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

wait_until_mlflow_answers() {
  until listens "$MLFLOW_PORT" && answers "$MLFLOW_PORT"; do
    kill -0 "$mlflow" || return 0 # wait_for_first_exit tells with which status
    sleep 0.05
  done
}

wait_until_proxy_listens() {
  until [[ -S "$PROXY_FOLDER/socket" ]]; do
    kill -0 "$proxy" || return 0
    sleep 0.02
  done
}

# Returns when MLflow no longer answers: stopped or deadlocked, but not dead.
watch_mlflow() {
  local failures=0
  while ((failures < PROBE_FAILURES)); do
    sleep "$PROBE_INTERVAL"
    if answers "$MLFLOW_PORT"; then failures=0; else failures=$((failures + 1)); fi
  done
}

# stop SIGNAL PID SECONDS: the signal, and KILL for what is still there after SECONDS.
stop() {
  local killer
  kill "-$1" "$2" || return 0
  { sleep "$3" && kill -KILL "$2"; } &
  killer=$!
  wait "$2" || true
  kill -KILL "$killer" || true
}

# From the front to the back: what is open there still needs those behind it. HAProxy drains on USR1:
# https://docs.haproxy.org/3.0/management.html#4
stop_all() {
  trap '' TERM INT
  if [[ -n "$edge" ]]; then stop USR1 "$edge" "$DRAIN_SECONDS"; fi
  if [[ -n "$proxy" ]]; then stop TERM "$proxy" "$PROXY_STOP_SECONDS"; fi
  if [[ -n "$mlflow" ]]; then stop TERM "$mlflow" "$MLFLOW_STOP_SECONDS"; fi
}

stop_on_request() {
  log INFO "Stopping: draining requests, then MLflow"
  stop_all
  log INFO "Stopped"
  exit 0
}

# Waits for the first child to leave; none of them should, so status 0 is also a failure.
wait_for_first_exit() {
  local status=0 first='' name pid
  for pid in "$@"; do # `wait -n` may no longer know who ended before
    kill -0 "$pid" || first=$pid
  done
  if [[ -n "$first" ]]; then
    wait "$first" || status=$?
  else
    wait -n -p first "$@" || status=$?
  fi
  case "$first" in
    "$mlflow") name=MLflow ;;
    "$proxy") name=oauth2-proxy ;;
    "$edge") name=HAProxy ;;
    *)
      log CRITICAL "MLflow has not answered for $((PROBE_FAILURES * PROBE_INTERVAL)) s or more; ending the container"
      kill -KILL "$mlflow"
      exit "$EX_SOFTWARE"
      ;;
  esac
  log CRITICAL "$name ended with status $status; ending the container"
  exit "$((status == 0 ? EX_SOFTWARE : status))"
}

serve() {
  mlflow='' proxy='' edge=''
  # bash reports a command that a signal ended ("Killed") when it pleases, and not as JSON.
  exec 2>/dev/null
  trap stop_on_request TERM INT
  check_environment serve
  trap stop_all EXIT
  start_mlflow
  wait_until_mlflow_answers
  kill -0 "$mlflow" || wait_for_first_exit "$mlflow"
  if [[ -z "${IAP_AUDIENCE:-}" ]]; then
    start_proxy
    wait_until_proxy_listens
  fi
  start_edge
  watch_mlflow &
  # shellcheck disable=SC2086  # no word where it does not run
  wait_for_first_exit "$mlflow" $proxy "$edge" "$!"
}

show_versions() {
  "$PYTHON" -c 'import sys; from importlib.metadata import version; print("python", sys.version.split()[0]); print("mlflow", version("mlflow"))'
  "$PROXY" --version
  "$EDGE" -v | sed -n 1p
}

main() {
  local command=${1:-serve}
  (($# == 0)) || shift
  case "$command" in
    serve) serve ;;
    db-upgrade | gc | archive-traces | verify | import | rewrite-roots | leave-teams)
      check_environment "$command"
      exec "$PYTHON" -m mlflow_cloudrun "$command" "$@"
      ;;
    version) show_versions ;;
    *)
      log ERROR "Unknown command; known are serve, db-upgrade, gc, archive-traces, verify, import, rewrite-roots, leave-teams, version"
      exit "$EX_USAGE"
      ;;
  esac
}

# Sourced, it only defines the functions.
if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then main "$@"; fi
