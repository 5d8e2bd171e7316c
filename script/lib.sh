# shellcheck shell=bash
# Shared by the programs in script/: moves to the repository's root, puts its own Node and tools first on PATH.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# The machine's own PATH: npm must not run on the Node that it is about to replace.
system_path=$(printf '%s' "$PATH" | tr ':' '\n' | grep -vF "$PWD/node_modules" | paste -sd: -)
export PATH="$PWD/node_modules/node/bin:$PWD/node_modules/.bin:$system_path"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# For --help: what MODULE prints, which imports no packages, where the Node at hand can run it; elsewhere bootstrap comes first.
help_first() {
  local module=$1 text
  shift
  case " $* " in *" --help "* | *" -h "*) ;; *) return 0 ;; esac
  text=$(node "$module" 2>/dev/null) || return 0
  [ -n "$text" ] || return 0
  printf '%s\n' "$text"
  exit
}

# Runs a command that says nothing unless it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1) || status=$?
  [ "$status" -eq 0 ] || say "$output"
  return "$status"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; elif has sudo; then sudo "$@"; else
    say "needs root, and there is no sudo: $*"
    return 1
  fi
}

# Installs Debian packages; refreshes the package lists only when the ones at hand do not do.
apt_install() {
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@")
  as_root "${install[@]}" >/dev/null 2>&1 || { quietly as_root apt-get update -qq && quietly as_root "${install[@]}"; }
}
