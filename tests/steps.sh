# Sourced by the scripts that set something up: titled, timed steps, and the check for what a machine lacks.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export MODELSHIP_BUILD_DIR=${MODELSHIP_BUILD_DIR:-$top/build}
mkdir -p "$MODELSHIP_BUILD_DIR/bin"
PATH=$MODELSHIP_BUILD_DIR/bin:$PATH
export PATH

if [ -t 1 ]; then
    bold=$'\e[1m' plain=$'\e[0m'
else
    bold='' plain=''
fi

# step TITLE COMMAND…: says what begins and how long it took. Not `"$@" || …`: that would switch `set -e` off inside.
step() {
    step_title=$1 step_began=$SECONDS
    shift
    echo "${bold}==> $step_title${plain}"
    "$@"
    echo "    done in $((SECONDS - step_began)) s"
    step_title=
}

# A script that has things to clean defines clean_up.
on_exit() {
    local status=$?
    if [ "$status" != 0 ] && [ -n "${step_title:-}" ]; then
        echo "    FAILED after $((SECONDS - step_began)) s (exit status $status): $step_title" >&2
    fi
    if declare -F clean_up >/dev/null; then
        clean_up || true
    fi
    exit "$status"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

lacks=()

# at_least NAME WANTED FOUND HINT
at_least() {
    if [ -z "$3" ]; then
        lacks+=("$1 $2 or newer: not found. $4")
    elif [ "$(printf '%s\n%s\n' "$2" "$3" | sort -V | head -1)" != "$2" ]; then
        lacks+=("$1 $2 or newer: this is $3. $4")
    fi
}

# need PROGRAM HINT
need() {
    command -v "$1" >/dev/null || lacks+=("$1: not found. $2")
}

need_rust() {
    at_least Rust 1.95 "$(rustc --version 2>/dev/null | cut -d' ' -f2)" "Install it with rustup."
    need cargo "Install it with rustup."
    need cc "On Debian: apt-get install gcc libc6-dev"
}

need_go() {
    at_least Go 1.26 "$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//')" "Its website has packages for every system."
}

need_python() {
    at_least Python 3.11 "$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null || true)" "On Debian: apt-get install python3"
}

# pods_here: can this machine be a Kubernetes node?
pods_here() { [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# stop_if_lacking: everything that is missing at once, not one thing per attempt.
stop_if_lacking() {
    [ ${#lacks[@]} -gt 0 ] || return 0
    echo "This machine lacks:" >&2
    printf '  - %s\n' "${lacks[@]}" >&2
    exit 1
}

# Debian packages that the images need; tests/cluster/run deps installs the cluster's own.
image_packages() {
    local packages=()
    command -v debootstrap >/dev/null || packages+=(debootstrap)
    command -v buildah >/dev/null || docker info >/dev/null 2>&1 || packages+=(buildah)
    [ -f /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
    # Debian keeps the module, but not what a new environment is made of.
    python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
    command -v curl >/dev/null || packages+=(curl)
    [ $# = 0 ] || packages+=("$@")
    [ ${#packages[@]} -gt 0 ] || return 0
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}" >/dev/null
}
