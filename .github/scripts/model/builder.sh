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

# build_image NAME DOCKERFILE CONTEXT ARGUMENT…
build_image() {
    local with name=$1 dockerfile=$2 context=$3
    shift 3
    with=$(builder)
    case $with in
    docker) docker build --quiet --tag "$name" --file "$dockerfile" "$@" "$context" >&2 ;;
    # Docker's format: it keeps what Dockerfiles say of health checks and shells.
    buildah) buildah bud --quiet --format docker --tag "$(qualified "$name")" --file "$dockerfile" "$@" "$context" >&2 ;;
    podman) podman build --quiet --format docker --tag "$(qualified "$name")" --file "$dockerfile" "$@" "$context" >&2 ;;
    esac || fail "the image cannot be built"
}

# push_image FROM TO: prints the digest.
push_image() {
    local with from=$1 to=$2 log=$MODEL_OUT/push.log digest
    with=$(builder)
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

# log_in HOST USER: the password comes by standard input, and is kept in a file that the caller removes.
log_in() {
    local with arguments=()
    with=$(builder)
    if [ "$with" != docker ] && insecure; then arguments+=(--tls-verify=false); fi
    "$with" login ${arguments[@]+"${arguments[@]}"} --username "$2" --password-stdin "$1" >"$MODEL_OUT/login.log" 2>&1 || {
        tail -3 "$MODEL_OUT/login.log" >&2
        fail "the registry $1 does not know this user and token (DOCKERHUB_USERNAME, DOCKERHUB_TOKEN)"
    }
}
