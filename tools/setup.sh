#!/usr/bin/env bash
# Makes a checkout ready to run: checks the tools that the machine must bring, installs the locked Python (and, for
# `test`, Node.js) packages into the checkout. When all is there it costs a few hundredths of a second.
#
#   tools/setup.sh synth   what `make synth` needs
#   tools/setup.sh test    the same, and what the checks need: as root on Debian also containers, databases, Chromium
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PIPENV_VERSION=2026.10.3
# Containers, databases, the image registry and the browser of the tests; mmdebstrap makes a base image where no
# registry answers (containers/images.py).
readonly DEBIAN_PACKAGES=(chromium docker-registry mariadb-server mmdebstrap podman postgresql runc slirp4netns)
missing=()

say() { printf '[setup] %s\n' "$*" >&2; }

elapsed() { printf '%ss' "$((SECONDS - $1))"; }

# at_least HAVE WANT: true when version HAVE is not older than WANT.
at_least() { [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]; }

on_debian_as_root() { [[ "$(id -u)" == 0 && -f /etc/debian_version ]]; }

install_debian_package() {
  on_debian_as_root || return 1
  local start=$SECONDS
  say "installing the Debian package $* ..."
  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null || return 1
  say "installed $* in $(elapsed "$start")"
}

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

require_python() {
  find_python >/dev/null || install_debian_package python3 python3-venv || true
  find_python >/dev/null || missing+=("python >= 3.11 with venv: apt-get install python3 python3-venv   (or https://www.python.org/downloads/)")
}

require_terraform() {
  local version=none
  if command -v terraform >/dev/null; then
    version=$(terraform version 2>/dev/null | sed -n 's/^Terraform v//p')
  fi
  if [[ "$version" == none ]] || ! at_least "$version" 1.11; then
    missing+=("terraform >= 1.11 (found: $version): https://developer.hashicorp.com/terraform/install   (brew install hashicorp/tap/terraform)")
  fi
}

has_node() {
  local version
  version=$(PATH="$PWD/.venv/bin:$PATH" node --version 2>/dev/null) || return 1
  at_least "${version#v}" 20
}

require_npm() {
  PATH="$PWD/.venv/bin:$PATH" command -v npm >/dev/null ||
    missing+=("npm: it comes with Node.js, https://nodejs.org/en/download   (apt-get install npm)")
}

has_debian_packages() {
  command -v podman docker >/dev/null && command -v chromium >/dev/null && command -v mariadbd >/dev/null &&
    command -v docker-registry >/dev/null &&
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

install_debian_packages() {
  if on_debian_as_root; then install_debian_package --no-install-recommends "${DEBIAN_PACKAGES[@]}" || true; fi
  has_debian_packages ||
    missing+=("podman or docker, an image registry, Chromium, PostgreSQL, MariaDB: apt-get install ${DEBIAN_PACKAGES[*]}")
}

stop_if_missing() {
  ((${#missing[@]})) || return 0
  say "missing on this machine:"
  printf '  %s\n' "${missing[@]}" >&2
  exit 69
}

pipenv_sync() {
  local start=$SECONDS categories=$1
  if [[ "$(.pipenv/bin/pipenv --version 2>/dev/null)" != *" $PIPENV_VERSION" ]]; then
    say "installing pipenv $PIPENV_VERSION ..."
    "$(find_python)" -m venv --clear .pipenv
    .pipenv/bin/python -m pip install --quiet --disable-pip-version-check "pipenv==$PIPENV_VERSION"
  fi
  say "installing the locked Python packages ($categories) ..."
  PIPENV_VENV_IN_PROJECT=1 PIPENV_IGNORE_VIRTUALENVS=1 PIPENV_NOSPIN=1 \
    .pipenv/bin/pipenv sync --quiet --python "$(find_python)" --categories "$categories" >&2
  say "Python packages installed in $(elapsed "$start")"
}

npm_install() {
  local start=$SECONDS
  say "installing the locked Node.js packages ..."
  PATH="$PWD/.venv/bin:$PATH" npm ci --silent --no-progress >&2
  say "Node.js packages installed in $(elapsed "$start")"
}

# A stamp holds the digest of the files that decide what is installed: equal digest, nothing to do.
digest_of() { cat "$@" | cksum; }

is_fresh() { [[ -f "$1" && "$(<"$1")" == "$2" ]]; }

# set_up_once STAMP DIGEST COMMAND ...: runs the command unless the stamp says that it ran for this digest.
set_up_once() {
  local stamp=$1 digest=$2
  shift 2
  is_fresh "$stamp" "$digest" && return 0
  "$@"
  printf '%s\n' "$digest" >"$stamp"
}

set_up() {
  local level=$1 python_digest node_digest last_stamp=.venv/.packages
  python_digest=$(digest_of Pipfile.lock tools/setup.sh)
  node_digest=$(digest_of package-lock.json tools/setup.sh)
  if [[ "$level" == test ]]; then last_stamp=node_modules/.packages; fi
  if [[ ! -f "$last_stamp" ]] || ! command -v terraform >/dev/null; then
    require_python
    require_terraform
    stop_if_missing
  fi
  set_up_once .venv/.packages "$python_digest" pipenv_sync packages
  has_node || pipenv_sync node
  [[ "$level" == test ]] || return 0
  set_up_once .venv/.dev-packages "$python_digest" pipenv_sync "packages dev-packages"
  require_npm
  set_up_once .venv/.debian-packages "${DEBIAN_PACKAGES[*]}" install_debian_packages
  stop_if_missing
  set_up_once node_modules/.packages "$node_digest" npm_install
}

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  case "${1:-}" in
    synth | test) set_up "$1" ;;
    *)
      say "usage: tools/setup.sh synth|test"
      exit 64
      ;;
  esac
fi
