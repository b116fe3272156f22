//! What a kubelet, and the container runtime behind it, say of a container that is not made or not started: which kind of
//! fault it is, and their sentence without what is another at each attempt.
//!
//! Their words are no interface, but as stable as their reasons: each row below names who says it, as read in the sources of
//! Kubernetes 1.36, containerd 2.4 and runc 1.1. What is in no row is told in their own words alone.

/// Why an image is not on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pull {
    NodeFull,
    /// The index has no image for the node's platform.
    Platform,
    /// The registry's certificate is not one that the node trusts, or it speaks no TLS.
    Certificate,
    /// One of the two broke the TLS handshake off, for another reason than a certificate.
    Handshake,
    RateLimited,
    Denied,
    NotFound,
    Unreachable,
    /// What came is not what its digest says, or nothing that the runtime can unpack.
    Broken,
    Signature,
    NeverPulled,
    Unknown,
}

/// Why a container is not made, or not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// A Secret or ConfigMap, or a key in one, that the pod refers to is not there.
    Reference,
    NonRoot,
    User,
    /// Its program is for another kind of processor.
    Platform,
    NoCommand,
    /// Its command is not in the image, or cannot be run.
    Command,
    WorkingDirectory,
    Mount,
    NodeFull,
    /// A GPU or another device of the node.
    Device,
    SecurityProfile,
    /// The node is late; it tries again by itself.
    Busy,
    Unknown,
}

/// Alternatives, each a few words that all occur.
type Words = &'static [&'static [&'static str]];

/// The first row that fits counts: a full disk shows as many things, and "not found" ends many sentences of containerd.
const PULLS: [(Pull, Words); 9] = [
    // The kernel's ENOSPC and EDQUOT, from whatever wrote: `failed to extract layer …: no space left on device`.
    (Pull::NodeFull, &[&["no space left on device"], &["disk quota exceeded"]]),
    // containerd core/images/image.go.
    (Pull::Platform, &[&["no match for platform"]]),
    // Go crypto/x509, crypto/tls and net/http.
    (Pull::Certificate, &[&["x509: "], &["tls: ", "certificate"], &["server gave HTTP response to HTTPS client"]]),
    (Pull::Handshake, &[&["tls: "]]),
    (Pull::RateLimited, &[&["429 Too Many Requests"], &["toomanyrequests"]]),
    // Go net and net/http, and what stands before a registry that is down; asking for a token may fail so, too.
    (
        Pull::Unreachable,
        &[
            &["no such host"],
            &["i/o timeout"],
            &["connection refused"],
            &["connection reset"],
            &["network is unreachable"],
            &["no route to host"],
            &["TLS handshake timeout"],
            &["deadline exceeded"],
            &["Client.Timeout exceeded"],
            &["502 Bad Gateway"],
            &["503 Service Unavailable"],
            &["504 Gateway"],
            &["500 Internal Server Error"],
            &["registry is unavailable"],
            &["unexpected EOF"],
        ],
    ),
    // containerd core/remotes/docker/{resolver,authorizer}.go; registries' own codes (distribution's spec) behind them.
    (
        Pull::Denied,
        &[
            &["pull access denied"],
            &["authorization failed"],
            &["failed to authorize"],
            &["no basic auth credentials"],
            &["401 Unauthorized"],
            &["403 Forbidden"],
            &["unauthorized"],
            &["insufficient_scope"],
        ],
    ),
    // containerd core/remotes/docker/fetcher.go, core/unpack/unpacker.go and core/content; schema 1 since containerd 2.0.
    (
        Pull::Broken,
        &[
            &["wrong diff id"],
            &["unexpected commit digest"],
            &["failed size validation"],
            &["number of layers and diffIDs don't match"],
            &["is no longer supported"],
            &["failed to extract layer"],
        ],
    ),
    // containerd core/remotes/docker/resolver.go: `docker.io/x/y@sha256:…: not found`.
    (Pull::NotFound, &[&[": not found"], &["manifest unknown"], &["404 Not Found"]]),
];

const STARTS: [(Start, Words); 12] = [
    (Start::NodeFull, &[&["no space left on device"], &["disk quota exceeded"]]),
    // kubelet kubelet_pods.go (makeEnvironmentVariables), and what the API server says of an object that it lacks.
    (
        Start::Reference,
        &[
            &["secret \"", "not found"],
            &["configmap \"", "not found"],
            &["couldn't find key"],
            &["environment variable key", "not found in file"],
        ],
    ),
    // kubelet kuberuntime/security_context_others.go.
    (Start::NonRoot, &[&["runAsNonRoot"], &["breaks non-root policy"]]),
    // containerd pkg/oci/spec_opts.go, runc libcontainer/init_linux.go.
    (
        Start::User,
        &[
            &["unable to find user"],
            &["unable to find group"],
            &["no users found"],
            &["no groups found"],
            &["invalid USER value"],
        ],
    ),
    // The kernel's ENOEXEC.
    (Start::Platform, &[&["exec format error"], &["no match for platform"]]),
    // containerd internal/cri/opts/spec_opts.go.
    (Start::NoCommand, &[&["no command specified"], &["no arguments specified"]]),
    // runc libcontainer/init_linux.go.
    (Start::WorkingDirectory, &[&["chdir to cwd"], &["mkdir cwd"]]),
    // Drivers' hooks and CDI; runc `error running hook`.
    (
        Start::Device,
        &[
            &["nvidia-container-cli"],
            &["nvidia-container-runtime"],
            &["libnvidia"],
            &["CDI device"],
            &["error running prestart hook"],
            &["error running hook"],
            &["runtime handler"],
        ],
    ),
    // kubelet kubelet_pods.go (makeMounts); containerd internal/cri/opts/spec_linux_opts.go; runc libcontainer/rootfs_linux.go.
    (
        Start::Mount,
        &[
            &["subPath"],
            &["SubPath"],
            &["error mounting"],
            &["cannot find volume"],
            &["failed to mkdir"],
            &["failed to stat"],
            &["failed to resolve symlink"],
            &["failed to mount image volume"],
            &["is mounted on", "not a shared"],
            &["recursive read-only"],
        ],
    ),
    // containerd internal/cri/server/container_create_linux.go, runc.
    (Start::SecurityProfile, &[&["seccomp"], &["apparmor"], &["AppArmor"], &["selinux"], &["SELinux"]]),
    // runc: Go's os/exec, and the kernel's own words for a script whose interpreter is not there.
    (
        Start::Command,
        &[
            &["executable file not found"],
            &["exec: ", "no such file or directory"],
            &["exec: ", "permission denied"],
            &["exec: ", "is a directory"],
            &["exec /", "no such file or directory"],
            &["exec /", "permission denied"],
        ],
    ),
    // containerd internal/cri/server/container_create.go, and its callers' deadlines; kubelet kubelet_pods.go and its caches.
    (
        Start::Busy,
        &[
            &["deadline exceeded"],
            &["DeadlineExceeded"],
            &["another CreateContainer request"],
            &["is reserved for"],
            &["services have not yet been read"],
            &["failed to sync", "cache"],
            &["sandbox container", "is not running"],
        ],
    ),
];

fn first<T: Copy>(rows: &[(T, Words)], said: &str) -> Option<T> {
    let fits = |words: Words| words.iter().any(|all| all.iter().all(|part| said.contains(part)));
    rows.iter().find(|(_, words)| fits(words)).map(|(kind, _)| *kind)
}

/// What keeps the image away, by the kubelet's reason and words.
pub fn pull(reason: &str, said: &str) -> Pull {
    match reason {
        "ErrImageNeverPull" => Pull::NeverPulled,
        "SignatureValidationFailed" => Pull::Signature,
        "InvalidImageName" => Pull::NotFound,
        "RegistryUnavailable" => first(&PULLS, said).unwrap_or(Pull::Unreachable),
        _ => first(&PULLS, said).unwrap_or(Pull::Unknown),
    }
}

/// What keeps the container from being made or started.
pub fn start(said: &str) -> Start {
    first(&STARTS, said).unwrap_or(Start::Unknown)
}

/// The first try's memory was not enough for the container's own beginning (runc).
pub fn is_out_of_memory(said: &str) -> bool {
    said.contains("OOM-killed")
}

/// Characters of a sentence that are told: the cause stands at its end or within the first lines, and the whole is in
/// `kubectl describe pod`.
const LONGEST: usize = 300;

/// A sentence of the kubelet, reduced to what stays from attempt to attempt: without the frame of the call that failed,
/// numbers of processes, identities of containers, ports of clients, and what follows `?` in addresses.
pub fn settled(said: &str) -> String {
    // While the kubelet waits it repeats what the last attempt came to; older ones say no more than that they wait.
    let said = said.rsplit_once("desc = ").map_or(said, |(_, told)| told);
    let said = match said.strip_prefix("Back-off pulling image ") {
        Some(waits) => waits.split_once(": ErrImagePull: ").map_or("", |(_, told)| told),
        None => said,
    };
    let said = FRAMES.iter().fold(said, |said, frame| unframed(said, frame));
    // The kubelet adds which pod and container it means, with the pod's identity.
    let said = said.split(" (pod: ").next().unwrap_or_default();
    let mut words: Vec<String> = said.split_whitespace().map(settled_word).collect();
    // Go crypto/x509: `certificate has expired or is not yet valid: current time 2026-…Z is after 2025-…Z`.
    if let Some(at) = words.windows(4).position(|four| four[0] == "current" && four[1] == "time" && four[3] == "is") {
        words.remove(at + 2);
    }
    shortened(&words.join(" "))
}

/// What containerd puts before each cause of a pull that failed, with the image's name in quotes: of no use beside the
/// condition that names the image, and together longer than what is told.
const FRAMES: [&str; 2] = ["failed to pull and unpack image ", "failed to resolve reference "];

fn unframed<'a>(said: &'a str, frame: &str) -> &'a str {
    let named = said.strip_prefix(frame).and_then(|rest| rest.strip_prefix('"'));
    named.and_then(|rest| rest.split_once("\": ")).map_or(said, |(_, cause)| cause)
}

fn settled_word(word: &str) -> String {
    // `10.1.2.3:45678->10.96.0.10:53`: the first is another at each connection.
    let word = word.rsplit_once("->").map_or(word, |(_, to)| to);
    let word = match word.split_once('?') {
        Some((address, query)) if address.contains("://") => {
            let end = query.trim_start_matches(|c: char| !matches!(c, '"' | '\'' | ':'));
            format!("{address}{end}")
        }
        _ => word.to_owned(),
    };
    if word.contains("extract-") {
        return "…".to_owned();
    }
    without_identities(&word)
}

/// Digests name what was asked for: they stay, in short.
fn without_identities(word: &str) -> String {
    /// Digits of an identity in hexadecimal, such as a container's (64) or a UUID (32 and four dashes).
    const IDENTITY: usize = 32;
    /// Digits of a number that somebody made up for this attempt, such as that of a temporary directory.
    const MADE_UP: usize = 6;
    /// Digits of a whole digest, and of one that people read.
    const SHA256: usize = 64;
    const SHORT: usize = 12;
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let digits = run.chars().filter(char::is_ascii_hexdigit).count();
        let made_up = run.len() >= MADE_UP && run.bytes().all(|byte| byte.is_ascii_digit());
        match (out.ends_with("sha256:"), digits >= IDENTITY || made_up) {
            (true, _) => out.push_str(if run.len() == SHA256 { &run[..SHORT] } else { run }),
            (false, true) => out.push('…'),
            (false, false) => out.push_str(run),
        }
        rest = after;
    }
    out + rest
}

fn shortened(said: &str) -> String {
    match said.char_indices().nth(LONGEST) {
        None => said.to_owned(),
        Some((end, _)) => format!("{}…", &said[..end]),
    }
}

#[cfg(test)]
#[path = "tests/kubelet.rs"]
mod tests;
