# Sourced by the steps beside it. What they have in common: the folder that they hand results on by, and how they speak.
# shellcheck shell=bash
#
# Every step takes what it is told from variables MODEL_…, and runs in the root of the model's repository. Without GitHub
# Actions nothing changes but where results are written to.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# A folder outside of the checkout where there is one: it must end up in no commit and in no image (see build).
out=${MODEL_OUT:-${RUNNER_TEMP:-$PWD/modelship-out}}
case $out in "${RUNNER_TEMP:-}") out=$out/modelship ;; esac
mkdir -p "$out/told"
out=$(cd "$out" && pwd)
[ -f "$out/.gitignore" ] || echo '*' >"$out/.gitignore"
export MODEL_OUT=$out
export PYTHONPATH=$scripts/../../../src/python${PYTHONPATH:+:$PYTHONPATH}
# It would otherwise look for a git program at import, and warn.
export GIT_PYTHON_REFRESH=quiet

say() { echo "==> $*" >&2; }

# escaped TEXT: as the data of a command of GitHub's, which is one line.
escaped() {
    local text=${1//'%'/%25}
    text=${text//$'\r'/%0D}
    echo "${text//$'\n'/%0A}"
}

fail() {
    echo "${0##*/}: $*" >&2
    # The same sentence where GitHub shows it first. On standard error, for standard output may be what somebody captures.
    [ -z "${GITHUB_ACTIONS:-}" ] || echo "::error title=${0##*/}::$(escaped "$*")" >&2
    exit 1
}

# tell NAME VALUE: for later steps, and for GitHub's.
tell() {
    local value=$2
    case $value in *[[:cntrl:]]*) fail "$1 has more than one line, or characters that nobody sees" ;; esac
    printf '%s\n' "$value" >"$out/told/$1"
    [ -z "${GITHUB_OUTPUT:-}" ] || printf '%s=%s\n' "$1" "$value" >>"$GITHUB_OUTPUT"
}

# told NAME HINT: what an earlier step has told.
told() {
    [ -f "$out/told/$1" ] || fail "there is no $1 yet: $2"
    cat "$out/told/$1"
}

py() { "${MODEL_PYTHON:-python3}" "$@"; }

# with_mlflow: installs MLflow into the python that is there, unless it has it.
with_mlflow() {
    local wanted=${MODEL_MLFLOW:-mlflow>=2.9}
    py -c 'import mlflow' 2>/dev/null && return
    say "pip install $wanted"
    py -m pip install --quiet --disable-pip-version-check "$wanted"
}

# projects: the files that MLflow takes for an MLproject, in whatever letters, one a line: those of this folder, or else of the
# nearest folders below that have any, down to two. A folder may have the name, too: it is none.
projects() {
    local file files slashes found=
    files=$(find . -maxdepth 3 \( -name '.?*' -o -path ./modelship-out \) -prune -o -iname mlproject -print | LC_ALL=C sort)
    for slashes in / // ///; do
        while IFS= read -r file; do
            [ "${file//[!\/]/}" != "$slashes" ] || [ ! -f "$file" ] || found+=${file#./}$'\n'
        done <<<"$files"
        [ -z "$found" ] || break
    done
    printf %s "$found"
}

# The tracking server, and who we are there. Teams on DagsHub have one pair of secrets for both.
tracking() {
    if [ -n "${MODEL_TRACKING_URI:-}" ]; then
        export MLFLOW_TRACKING_URI=$MODEL_TRACKING_URI
    elif [ -n "${MODEL_DAGSHUB_REPOSITORY:-}" ]; then
        export MLFLOW_TRACKING_URI=https://dagshub.com/$MODEL_DAGSHUB_REPOSITORY.mlflow
    fi
    if [ -n "${DAGSHUB_TOKEN:-}" ]; then
        export MLFLOW_TRACKING_USERNAME=${MLFLOW_TRACKING_USERNAME:-${DAGSHUB_USERNAME:-$DAGSHUB_TOKEN}}
        export MLFLOW_TRACKING_PASSWORD=${MLFLOW_TRACKING_PASSWORD:-$DAGSHUB_TOKEN}
        # What dagshub.init() in a training script reads instead of opening a browser.
        export DAGSHUB_USER_TOKEN=${DAGSHUB_USER_TOKEN:-$DAGSHUB_TOKEN}
    fi
    if [ -n "${MODEL_EXPERIMENT:-}" ]; then
        export MLFLOW_EXPERIMENT_NAME=$MODEL_EXPERIMENT
    fi
}

# The file by which one job hands over to another.
packed=handed-over.tar

# here_moment: when the commit that is checked out was made, in seconds since 1970: what is built of it is as old. SOURCE_DATE_EPOCH
# says otherwise. None outside of git.
here_moment() {
    local moment=${SOURCE_DATE_EPOCH:-}
    [ -n "$moment" ] || moment=$(git log -1 --format=%ct 2>/dev/null || true)
    [[ $moment =~ ^[0-9]*$ ]] || fail "SOURCE_DATE_EPOCH is '$moment', but must be seconds since 1970"
    echo "$moment"
}

# here_commit: the commit that is checked out, in full; none outside of git.
here_commit() { echo "${GITHUB_SHA:-$(git rev-parse --verify --quiet HEAD 2>/dev/null || true)}"; }
