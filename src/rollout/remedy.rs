//! What keeps a pod from serving, in words for people: what is the case, how to mend it, whose it is, and what the kubelet
//! says itself.

use super::{
    facts::{Kind, PodFacts, Trouble, Unwell},
    kubelet::{Pull, Start},
    progress::Reason,
    target::NO_MATCHING_PLATFORM,
};
use crate::api::{names, status::Version, valid::ValidSpec};

/// The reason, and a sentence with the remedy.
pub(super) fn of(spec: &ValidSpec, trouble: &Trouble, pod: &PodFacts) -> Reason {
    let (name, container) = (&pod.name, &trouble.container);
    let (reason, message) = match &trouble.kind {
        Kind::Unschedulable => {
            return Reason {
                reason: "Unschedulable",
                message: format!("no node can take the pod: {}{}", trouble.says, place(pod, "")),
            };
        }
        Kind::Pull(Pull::Platform) => (NO_MATCHING_PLATFORM, pull(Pull::Platform).to_owned()),
        Kind::Pull(why) => ("ImagePullFailed", pull(*why).to_owned()),
        Kind::Start(Start::Reference) => ("ConfigurationMissing", start(Start::Reference).to_owned()),
        Kind::Start(Start::Platform) => (NO_MATCHING_PLATFORM, start(Start::Platform).to_owned()),
        Kind::Start(why) => ("ContainerNotStarted", start(*why).to_owned()),
        // MLflow's images end with 0 when their server crashes, and when they are stopped: the code tells nothing.
        Kind::Crashing { exit_code: 0 } => (
            "CrashLooping",
            format!(
                "the container ends (exit code 0): by itself, or because it did not answer {} in time{} (see spec.server.port and spec.server.startupTimeout); kubectl logs {name} -c {container} --previous shows what it says",
                asked(spec),
                heard(spec, pod).unwrap_or_default()
            ),
        ),
        Kind::Crashing { exit_code } => (
            "CrashLooping",
            format!(
                "the container ends with exit code {exit_code}{}; kubectl logs {name} -c {container} --previous shows what it says",
                meant(*exit_code)
            ),
        ),
        Kind::OutOfMemory => (
            "OutOfMemory",
            "the container needs more memory than its limit; raise spec.server.resources.limits.memory or lower spec.server.workers".to_owned(),
        ),
        Kind::NotAnswering => return no_answer(spec, pod),
        Kind::Waiting(state) => {
            ("Waiting", format!("the container waits: {state}; kubectl describe pod {name} tells more"))
        }
    };
    let says = if trouble.says.is_empty() { String::new() } else { format!("; the node says: {}", trouble.says) };
    Reason { reason, message: format!("{message}{}{says}", place(pod, container)) }
}

/// Which pod, container and version.
fn place(pod: &PodFacts, container: &str) -> String {
    let container = if container.is_empty() { String::new() } else { format!(", container {container}") };
    let version = Version::of_image(&pod.image).map(|version| format!(", version {}", version.short));
    format!(" (pod {}{container}{})", pod.name, version.unwrap_or_default())
}

fn pull(why: Pull) -> &'static str {
    match why {
        Pull::NodeFull => "the node's disk has no room for the image; free it, or give the node a larger one",
        Pull::Platform => {
            "the image is not built for the node's platform; build it for that one, too (docker buildx build --platform), or choose nodes by a nodeSelector in spec.podTemplate"
        }
        Pull::Certificate => {
            "the node does not trust the registry's certificate, or the registry speaks no TLS; give the node's container runtime the certificate of its authority, as for the operator"
        }
        Pull::Handshake => {
            "the node and the registry find no TLS in common, or the registry breaks the handshake off; see its log, and which versions and ciphers it offers"
        }
        Pull::RateLimited => {
            "the registry lets the node pull no more for now; name a Secret of an account in spec.image.pullSecrets, or give the nodes a mirror"
        }
        Pull::Denied => {
            "the registry does not let the node pull the image; for a private repository, name its Secret in spec.image.pullSecrets, and see that its account may read the repository"
        }
        Pull::NotFound => {
            "the registry, or the mirror that the node asks, does not have this version; push it again, and keep a tag on it"
        }
        Pull::Unreachable => "the node does not reach the registry; see the node's network, its proxy and its mirrors",
        Pull::Broken => "what the registry gives the node cannot be unpacked; build the image anew and push it",
        Pull::Signature => {
            "the node's policy wants a signature that the image does not have; sign it, or change the policy"
        }
        Pull::NeverPulled => {
            "the pod may not pull the image, and the node does not have it; leave imagePullPolicy unset"
        }
        Pull::Unknown => {
            "the node cannot pull the image (for a private repository, name its Secret in spec.image.pullSecrets)"
        }
    }
}

fn start(why: Start) -> &'static str {
    match why {
        Start::Reference => {
            "the container cannot be created: a Secret or ConfigMap, or a key in one, that spec.server.env or spec.podTemplate names is missing; create it, or mark the reference as optional"
        }
        Start::NonRoot => {
            "the pod must not run as root, and the image does, or does not say by a number that it does not; give the image a numeric user (USER 1000), or set runAsUser in the securityContext of spec.podTemplate"
        }
        Start::User => {
            "the user or group that the container is to run as is not in the image; give it by number in the Dockerfile (USER 1000) or in spec.podTemplate"
        }
        Start::Platform => {
            "the image's program is for another kind of processor than the node's; build the image for that one (docker buildx build --platform)"
        }
        Start::NoCommand => {
            "the image says no command to run; give it a CMD or an ENTRYPOINT, or set command in spec.podTemplate"
        }
        Start::Command => {
            "the container's command cannot be run: it is not in the image, is not executable, or is a script whose first line names what is not there; correct the image's ENTRYPOINT and CMD, or command in spec.podTemplate"
        }
        Start::WorkingDirectory => {
            "the container's working directory is not in the image, or may not be entered; correct WORKDIR in the Dockerfile, or workingDir in spec.podTemplate"
        }
        Start::Mount => {
            "a volume cannot be mounted where spec.podTemplate says; correct mountPath, subPath or what they name"
        }
        Start::NodeFull => "the node's disk is full; free it, or give the node a larger one",
        Start::Device => {
            "a GPU or another device of the node cannot be given to the container; see the driver, the device plugin and the runtime class on that node"
        }
        Start::SecurityProfile => {
            "the security profile that the pod names cannot be applied on that node; correct seccompProfile, appArmorProfile or seLinuxOptions in spec.podTemplate"
        }
        Start::Busy => "the node is slow or not ready to make the container; it tries again by itself",
        Start::Unknown => "the node cannot create or start the container",
    }
}

/// What some exit codes nearly always mean.
fn meant(exit_code: i32) -> &'static str {
    match exit_code {
        126 => " (its command may not be executed)",
        127 => " (a command was not found)",
        132 => " (illegal instruction: a library needs a newer processor than the node's)",
        134 => " (it aborted itself)",
        139 => " (it touched memory that is not its own: a library's fault, or one for another processor)",
        255 => " (so ends, among others, a program for another kind of processor: exec format error in its log)",
        _ => "",
    }
}

fn asked(spec: &ValidSpec) -> String {
    let port = spec.server.port;
    match &spec.server.health_path {
        Some(path) => format!("GET {path} on port {port}"),
        None => format!("port {port}"),
    }
}

/// It has not begun to run when the deadline has passed.
pub(super) fn not_started(pod: Option<&PodFacts>) -> Reason {
    let Some(pod) = pod else {
        let message = "no pod of the wanted version is there yet; kubectl describe replicaset tells why".to_owned();
        return Reason { reason: "Waiting", message };
    };
    let why = match pod.prepared {
        Some(true) => "the pull takes longer than spec.rollout.deadline",
        Some(false) => "a volume cannot be mounted, or the pod's network cannot be set up",
        None => "the pull takes longer than spec.rollout.deadline, or a volume cannot be mounted",
    };
    let name = &pod.name;
    let tells = if pod.prepared.is_some() { "tells more" } else { "tells which" };
    let place = place(pod, "");
    Reason {
        reason: "Waiting",
        message: format!("the container has not started yet: {why}; kubectl describe pod {name} {tells}{place}"),
    }
}

/// Its pods come to an end by themselves.
pub(super) fn ended(pod: &PodFacts, fate: &str) -> Reason {
    let message = format!(
        "pods of this version end before they serve, and others take their place: {fate}; for want of memory or disk, raise requests and limits in spec.server.resources{}",
        place(pod, "")
    );
    Reason { reason: "PodsEnded", message }
}

pub(super) fn no_answer(spec: &ValidSpec, pod: &PodFacts) -> Reason {
    let (asked, place) = (asked(spec), place(pod, names::MODEL_CONTAINER));
    let why = heard(spec, pod).unwrap_or_else(|| {
        "; check that the model listens on spec.server.port on all interfaces, and that it loads within spec.server.startupTimeout".to_owned()
    });
    let message = format!("the container runs but does not answer {asked}{why}{place}");
    Reason { reason: "NotAnswering", message }
}

/// What the pod's exporter knows of it, with the remedy.
fn heard(spec: &ValidSpec, pod: &PodFacts) -> Option<String> {
    let Unwell { status, listening } = pod.unwell.as_ref()?;
    let port = spec.server.port;
    if let Some(status) = status {
        return Some(format!(
            ": it is answered with {status}; set spec.server.healthPath to a path that is answered with 200 once the model can serve, or see the container's log"
        ));
    }
    Some(match listening.as_slice() {
        [] => format!(
            ": nothing listens on {port}; the model is still loading, or failed to (see its log), or raise spec.server.startupTimeout; spec.server.port says where it listens"
        ),
        ports if ports.contains(&port) => {
            format!(": {port} is listened on, but not at 127.0.0.1; let the server listen on all interfaces (0.0.0.0)")
        }
        ports => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!(
                ": nothing listens on {port}; {} is listened on; set spec.server.port to the port on which the model answers",
                ports.join(", ")
            )
        }
    })
}
