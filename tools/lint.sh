#!/usr/bin/env bash
# The static checks, each named as it runs; all of them run, and the first failure decides the exit status.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

status=0

check() {
  local start=$SECONDS output
  if output=$("$@" 2>&1); then
    printf '[lint] %-14s ok (%ss)\n' "$1" "$((SECONDS - start))"
  else
    printf '%s\n[lint] %-14s FAILED: %s\n' "$output" "$1" "$*"
    status=1
  fi
}

# Compiled once from its Go module, and kept in Go's cache. It runs shellcheck over the steps of the workflows.
# shellcheck disable=SC2329  # `check` calls it by name
actionlint() { go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 "$@"; }

mapfile -t shell_scripts < <(git ls-files '*.sh' .ci/run)
mapfile -t dockerfiles < <(git ls-files '*Dockerfile')

check ruff format --check .
check ruff check .
check pyright
check lint-imports
check codespell
check shellcheck "${shell_scripts[@]}"
if ((${#dockerfiles[@]})); then check hadolint "${dockerfiles[@]}"; fi
check zizmor --offline --quiet .github/workflows
if command -v go >/dev/null; then check actionlint; else echo '[lint] actionlint     left to CI: it needs go'; fi
exit "$status"
