#!/usr/bin/env bash
# Runs MLflow and oauth2-proxy as one: the port opens when MLflow answers, and the container ends when either of them
# does. Under `tini -g`, which sends a signal to this process group.
#
#   start.sh [serve]            the service (default)
#   start.sh db-upgrade         create or migrate the database's schema
#   start.sh gc [OPTION ...]    mlflow gc
#   start.sh version            what is in the image
set -euo pipefail

readonly PYTHON=/opt/mlflow/bin/python
readonly PROXY=/usr/local/bin/oauth2-proxy
readonly PROXY_FOLDER=/tmp/oauth2-proxy
readonly MLFLOW_PORT=8080
# Cloud Run kills 10 s after TERM: https://cloud.google.com/run/docs/container-contract#instance-shutdown
readonly DRAIN_SECONDS=6 MLFLOW_STOP_SECONDS=3
# A hung MLflow ends the container after at most PROBE_FAILURES * (PROBE_INTERVAL + PROBE_TIMEOUT) = 30 s.
readonly PROBE_INTERVAL=5 PROBE_TIMEOUT=5 PROBE_FAILURES=3
readonly EX_USAGE=64 EX_SOFTWARE=70

log() { printf '{"severity":"%s","logger":"start.sh","message":"%s"}\n' "$1" "$2" >&2; }

check_environment() { "$PYTHON" -m mlflow_cloudrun.settings "$1" "$PROXY_FOLDER"; }

# MLflow leaves this process group, so that tini's signal does not reach it and it outlives the draining proxy.
start_mlflow() {
  setsid "$PYTHON" -m mlflow_cloudrun serve "$PROXY_FOLDER" &
  mlflow=$!
}

# An empty environment: oauth2-proxy reads any OAUTH2_PROXY_ variable, and needs no database password.
# It shares the CPU with MLflow, which is one process: one thread at a time is enough, and some MiB more of heap save it
# most collections. Together they take a fifth off its CPU time per request. https://pkg.go.dev/runtime#hdr-Environment_Variables
start_proxy() {
  env -i GOMAXPROCS=1 GOGC=400 "$PROXY" --config "$PROXY_FOLDER/oauth2-proxy.cfg" &
  proxy=$!
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
    kill -0 "$mlflow" 2>/dev/null || return 0 # wait_for_first_exit tells with which status
    sleep 0.05
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

# stop PID SECONDS: TERM, and KILL for what is still there after SECONDS.
stop() {
  local killer
  kill -TERM "$1" 2>/dev/null || return 0
  { sleep "$2" && kill -KILL "$1" 2>/dev/null; } &
  killer=$!
  wait "$1" 2>/dev/null || true
  kill -KILL "$killer" 2>/dev/null || true
}

# The proxy first: its open requests still need MLflow.
stop_both() {
  trap '' TERM INT
  if [[ -n "$proxy" ]]; then stop "$proxy" "$DRAIN_SECONDS"; fi
  if [[ -n "$mlflow" ]]; then stop "$mlflow" "$MLFLOW_STOP_SECONDS"; fi
}

stop_on_request() {
  log INFO "Stopping: draining requests, then MLflow"
  stop_both
  log INFO "Stopped"
  exit 0
}

# Waits for the first child to leave; none of them should, so status 0 is a failure too.
wait_for_first_exit() {
  local status=0 first=none name
  wait -n -p first "$@" 2>/dev/null || status=$? # bash's own "Killed" line is not JSON
  case "$first" in
    "$mlflow") name=MLflow ;;
    "$proxy") name=oauth2-proxy ;;
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
  mlflow='' proxy=''
  trap stop_on_request TERM INT
  check_environment serve
  trap stop_both EXIT
  start_mlflow
  wait_until_mlflow_answers
  kill -0 "$mlflow" 2>/dev/null || wait_for_first_exit "$mlflow"
  start_proxy
  watch_mlflow &
  wait_for_first_exit "$mlflow" "$proxy" "$!"
}

show_versions() {
  "$PYTHON" -c 'import sys; from importlib.metadata import version; print("python", sys.version.split()[0]); print("mlflow", version("mlflow"))'
  "$PROXY" --version
}

main() {
  local command=${1:-serve}
  (($# == 0)) || shift
  case "$command" in
    serve) serve ;;
    db-upgrade | gc)
      check_environment "$command"
      exec "$PYTHON" -m mlflow_cloudrun "$command" "$@"
      ;;
    version) show_versions ;;
    *)
      log ERROR "Unknown command; known are serve, db-upgrade, gc, version"
      exit "$EX_USAGE"
      ;;
  esac
}

# Sourced, it only defines the functions.
if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then main "$@"; fi
