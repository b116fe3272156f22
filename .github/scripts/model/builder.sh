# Sourced after common.sh: the three programs that build and push images, by one set of words.
# shellcheck shell=bash

# repository: where the image goes, checked. Docker Hub's short names stay short.
repository() {
    local name=${MODEL_IMAGE:-}
    [ -n "$name" ] || fail "where does the image go? Name its repository in image, such as alice/credit-scoring-model"
    # Names are lower case; the last part has no tag, a host may have a port.
    [[ $name =~ ^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$ ]] ||
        fail "image is '$name', but must be a repository without tag, in lower case, such as alice/credit-scoring-model"
    echo "$name"
}

# qualified NAME: with Docker Hub's host. buildah and podman ask, or refuse, when a name has none.
qualified() {
    case ${1%%/*} in
    *.* | *:* | localhost) echo "$1" ;;
    *) [[ $1 == */* ]] && echo "docker.io/$1" || echo "docker.io/library/$1" ;;
    esac
}

# commit_tag: the commit's, or of the run where there is no commit.
commit_tag() {
    local tag
    tag=$(here_commit)
    [ -n "$tag" ] || tag=$(cat "$MODEL_OUT/told/run-id" 2>/dev/null || true)
    [ -n "$tag" ] || fail "there is neither a commit nor a run to name the image by"
    echo "$tag"
}

# builder: which program builds. Asked once, by build; whoever comes later is told, for what one has built another does not have.
builder() {
    local each
    if [ -n "${MODEL_BUILDER:-}" ]; then
        command -v "$MODEL_BUILDER" >/dev/null || fail "$MODEL_BUILDER is not installed"
        echo "$MODEL_BUILDER"
        return
    fi
    # Docker's program is of no use without its engine.
    if command -v docker >/dev/null && docker info --format '{{.ID}}' >/dev/null 2>&1; then
        echo docker
        return
    fi
    for each in buildah podman; do
        if command -v "$each" >/dev/null; then
            echo "$each"
            return
        fi
    done
    fail "this needs Docker, buildah or podman, and none of them is here"
}

# Registries without TLS: for tests and networks of one's own.
insecure() { [ "${MODEL_REGISTRY_INSECURE:-}" = true ]; }

# What is removed when the step ends, however it ends.
temporary=()
trap 'rm -rf ${temporary[@]+"${temporary[@]}"}' EXIT

# build_image BUILDER NAME DOCKERFILE CONTEXT ARGUMENT…
build_image() {
    local with=$1 name=$2 dockerfile=$3 context=$4 verb=build moment format=docker status=0 arguments=()
    shift 4
    [ "$with" != buildah ] || verb=bud
    moment=$(here_moment)
    if [ "$with" = docker ]; then
        # BuildKit takes the moment from the environment. Its attestations hold the time of the build: with them every index of
        # the same image has a digest of its own.
        [ -z "$moment" ] || export SOURCE_DATE_EPOCH=$moment BUILDX_NO_DEFAULT_ATTESTATIONS=1
        docker build --quiet --tag "$name" --file "$dockerfile" "$@" "$context" >&2 || fail "the image cannot be built"
        return
    fi
    if insecure; then arguments+=(--tls-verify=false); fi
    # Docker finds this one by its name.
    if [ -f "$dockerfile.dockerignore" ]; then arguments+=(--ignorefile "$dockerfile.dockerignore"); fi
    if [ -n "$moment" ]; then
        # Docker's format names the container that an image was built in: it never has one digest.
        py "$scripts/repeatable.py" "$dockerfile" >"$MODEL_OUT/Dockerfile.repeatable" || status=$?
        case $status in
        0)
            format=oci dockerfile=$MODEL_OUT/Dockerfile.repeatable
            arguments+=(--timestamp "$moment" "--build-arg=SOURCE_DATE_EPOCH=$moment")
            ;;
        3) say "HEALTHCHECK, SHELL and ONBUILD need Docker's format: every build has a digest of its own" ;;
        *) fail "the Dockerfile cannot be read" ;;
        esac
    fi
    # Newer ones would take it from the environment as well, and refuse both.
    (unset SOURCE_DATE_EPOCH && "$with" "$verb" --quiet --format "$format" --tag "$(qualified "$name")" "${arguments[@]}" \
        --file "$dockerfile" "$@" "$context" >&2) || fail "the image cannot be built"
}

# push_image BUILDER FROM TO: prints the digest.
push_image() {
    local with=$1 from=$2 to=$3 log=$MODEL_OUT/push.log digest
    rm -f "$MODEL_OUT/pushed"
    case $with in
    docker)
        [ "$from" = "$to" ] || docker tag "$from" "$to"
        docker push "$to" >"$log" 2>&1 && sed -nE 's/.*digest: (sha256:[0-9a-f]{64}).*/\1/p' "$log" | tail -1 >"$MODEL_OUT/pushed"
        ;;
    *)
        local arguments=(--quiet --digestfile "$MODEL_OUT/pushed")
        if insecure; then arguments+=(--tls-verify=false); fi
        "$with" push "${arguments[@]}" "$(qualified "$from")" "docker://$(qualified "$to")" >"$log" 2>&1
        ;;
    esac || {
        tail -5 "$log" >&2
        fail "the image cannot be pushed to $to"
    }
    digest=$(cat "$MODEL_OUT/pushed")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "pushing $to gave no digest"
    echo "$digest"
}

# log_in BUILDER REPOSITORY: to its registry with DOCKERHUB_USERNAME and DOCKERHUB_TOKEN, where they are given, for this step
# alone: no later one finds the password. Whatever else the builder knows, such as other registries and Docker's contexts, stays.
log_in() {
    local with=$1 host own=${DOCKER_CONFIG:-${HOME:-}/.docker} logged_in entry arguments=()
    [ -n "${DOCKERHUB_TOKEN:-}" ] || return 0
    [ -n "${DOCKERHUB_USERNAME:-}" ] || fail "DOCKERHUB_TOKEN is set, but DOCKERHUB_USERNAME is not"
    host=$(qualified "$2")
    host=${host%%/*}
    # Docker knows its own registry by an address, not by the host in names.
    if [ "$host" = docker.io ] && [ "$with" = docker ]; then host=https://index.docker.io/v1/; fi
    logged_in=$(mktemp -d)
    temporary+=("$logged_in")
    for entry in "$own"/*; do
        if [ -e "$entry" ] && [ "${entry##*/}" != config.json ]; then ln -s "$entry" "$logged_in/"; fi
    done
    py "$scripts/known_logins.py" "$with" "$host" "$logged_in"
    export DOCKER_CONFIG=$logged_in REGISTRY_AUTH_FILE=$logged_in/auth.json
    if [ "$with" != docker ] && insecure; then arguments+=(--tls-verify=false); fi
    "$with" login ${arguments[@]+"${arguments[@]}"} --username "$DOCKERHUB_USERNAME" --password-stdin "$host" \
        >"$MODEL_OUT/login.log" 2>&1 <<<"$DOCKERHUB_TOKEN" || {
        tail -3 "$MODEL_OUT/login.log" >&2
        fail "the registry $host does not know this user and token (DOCKERHUB_USERNAME, DOCKERHUB_TOKEN)"
    }
}
