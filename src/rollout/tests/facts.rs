use serde_json::{Value, json};

use super::*;
use crate::rollout::fixtures::{NAME, NAMESPACE, PodOf, Rollout, image};

#[test]
fn a_deployment_is_reduced_to_what_its_controller_says() {
    let facts = Rollout { wanted: 3, existing: 4, updated: 1, available: 3, ..Rollout::introducing(3) }.of(1);
    assert_eq!(facts.image, image(1), "the model's image, not the sidecar's");
    assert_eq!((facts.wanted, facts.existing, facts.updated, facts.available), (3, 4, 1, 3));
    assert_eq!((facts.observed, facts.introduced, facts.overdue, facts.refused), (true, false, false, None));
}

#[test]
fn a_deployment_that_was_paused_by_hand_says_so() {
    let paused = |spec: Value| DeploymentFacts::of(&serde_json::from_value(json!({"spec": spec})).unwrap()).paused;
    assert!(paused(json!({"paused": true, "selector": {}, "template": {}})));
    assert!(!paused(json!({"selector": {}, "template": {}})));
}

#[test]
fn a_deployment_that_its_controller_has_not_seen_yet_is_neither_complete_nor_overdue() {
    let late = |rollout: Rollout| Rollout { behind: 1, ..rollout }.of(1);
    assert!(!late(Rollout::complete(1)).complete());
    assert!(!late(Rollout::overdue(1)).overdue);
    assert!(Rollout::complete(1).of(1).complete());
    assert!(Rollout::overdue(1).of(1).overdue);
}

#[test]
fn a_deployment_without_status_is_at_its_beginning() {
    let deployment = serde_json::from_value(json!({"metadata": {"generation": 1}})).unwrap();
    let facts = DeploymentFacts::of(&deployment);
    assert_eq!((facts.wanted, facts.observed, facts.complete()), (1, false, false));
}

#[test]
fn scaling_after_the_introduction_does_not_undo_it() {
    let growing = Rollout { wanted: 5, available: 2, existing: 5, updated: 5, ..Rollout::complete(2) };
    assert!(growing.of(1).complete());
    let shrinking = Rollout { wanted: 1, ..Rollout::complete(3) };
    assert!(shrinking.of(1).complete());
}

#[test]
fn scaled_to_zero_is_complete() {
    assert!(Rollout::complete(0).of(1).complete());
}

/// Recreate stops the old pods first; until the new ReplicaSet exists, `Progressing` still speaks of the old one.
#[test]
fn between_two_versions_of_recreate_nothing_is_complete() {
    let between = Rollout { wanted: 1, ..Rollout::complete(0) };
    assert!(!between.of(2).complete());
}

#[test]
fn refused_pods_are_told_in_the_api_servers_words() {
    let facts = Rollout::refused(1, "exceeded quota: vineyard").of(2);
    assert_eq!(facts.refused.as_deref(), Some("exceeded quota: vineyard"));
}

#[test]
fn a_pod_is_reduced_to_what_a_roll_out_is_judged_by() {
    let facts = PodOf::ready(2).facts();
    assert_eq!((facts.namespace.as_str(), facts.model.as_str()), (NAMESPACE, NAME));
    assert_eq!(facts.image, image(2), "the model's image, not the sidecar's");
    assert_eq!((facts.ready, facts.started, facts.leaving, facts.trouble), (true, true, false, None));
    assert!(PodOf::ready(2).leaving().facts().leaving);
}

#[test]
fn a_pod_without_our_labels_or_our_container_is_no_models() {
    let strange = |change: fn(&mut Value)| {
        let mut pod = PodOf::ready(1).json("x");
        change(&mut pod);
        PodFacts::of(&serde_json::from_value(pod).unwrap())
    };
    assert_eq!(strange(|pod| pod["metadata"]["labels"] = json!({"app": "x"})), None);
    assert_eq!(strange(|pod| pod["spec"]["containers"] = json!([{"name": "main"}])), None);
}

#[track_caller]
fn trouble(pod: PodOf, expected: Option<Kind>) {
    assert_eq!(pod.facts().trouble.map(|trouble| trouble.kind), expected);
}

#[test]
fn a_pod_that_no_node_takes_is_told_in_the_schedulers_words_without_its_numbers() {
    let words = "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: }, 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
    let later = "0/4 nodes are available: 3 Insufficient cpu, 1 node(s) had untolerated taint {gpu: }.";
    let says = |words: &str| {
        let trouble = PodOf::new(1).unschedulable(words).facts().trouble.unwrap();
        assert_eq!(trouble.kind, Kind::Unschedulable);
        trouble.says
    };
    for words in [words, later] {
        assert_eq!(says(words), "Insufficient cpu, node(s) had untolerated taint {gpu: }");
    }
    assert_eq!(says("no nodes available to schedule pods"), "no nodes available to schedule pods");
}

#[test]
fn a_pod_that_starts_is_in_no_trouble() {
    for state in ["ContainerCreating", "PodInitializing"] {
        trouble(PodOf::new(1).waiting(state), None);
        assert!(!PodOf::new(1).waiting(state).facts().started);
    }
    trouble(PodOf::new(1).state(json!({"running": {}}), json!({})), None);
    trouble(PodOf::new(1), None);
}

#[test]
fn an_image_that_cannot_be_pulled_stays_so_through_the_kubelets_back_off() {
    const SAID: &str =
        "rpc error: code = NotFound desc = failed to pull: docker.io/vintner/wine-quality@sha256:0a: not found";
    let waits = format!("Back-off pulling image \"docker.io/vintner/wine-quality@sha256:0a\": ErrImagePull: {SAID}");
    let told = PodOf::new(1).told("ErrImagePull", SAID).facts().trouble.unwrap();
    assert_eq!(told.kind, Kind::Pull(Pull::NotFound));
    assert_eq!(told.says, "failed to pull: docker.io/vintner/wine-quality@sha256:0a: not found");
    assert_eq!(PodOf::new(1).told("ImagePullBackOff", &waits).facts().trouble, Some(told));
    for phase in [
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    ] {
        let trouble = PodOf::new(1).waiting(phase).facts().trouble.unwrap();
        assert!(matches!(trouble.kind, Kind::Pull(_)), "{phase}: {trouble:?}");
    }
}

#[test]
fn a_container_that_is_not_made_is_told_by_the_kubelets_words_and_by_whose_it_is() {
    for phase in ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"] {
        let trouble = PodOf::new(1).told(phase, "secret \"answer\" not found").facts().trouble.unwrap();
        assert_eq!(trouble.kind, Kind::Start(Start::Reference), "{phase}");
        assert_eq!((trouble.container.as_str(), trouble.says.as_str()), ("model", "secret \"answer\" not found"));
    }
}

/// containerd shows one that it cannot start as ended, with the code 128 that nobody gave.
#[test]
fn a_container_that_does_not_start_reads_the_same_in_every_phase_of_the_kubelets_loop() {
    let words =
        "failed to create containerd task: runc create failed: exec: \"serve\": executable file not found in $PATH";
    let terminated = json!({"exitCode": 128, "reason": "StartError", "message": words});
    let expected = Trouble { kind: Kind::Start(Start::Command), container: "model".into(), says: words.into() };
    for pod in phases(&terminated) {
        assert_eq!(pod.facts().trouble, Some(expected.clone()));
    }
    let at_first = PodOf::new(1).told("RunContainerError", words);
    assert_eq!(at_first.facts().trouble, Some(expected));
}

#[test]
fn any_other_wait_is_told_by_its_name() {
    trouble(PodOf::new(1).waiting("PreCreateHookError"), Some(Kind::Waiting("PreCreateHookError".into())));
}

/// A node that was switched off saw nothing of its containers' ends: containerd and the kubelet make codes up.
#[test]
fn a_container_whose_end_nobody_saw_has_not_crashed() {
    for (code, reason) in [(255, "Unknown"), (137, "ContainerStatusUnknown")] {
        for pod in phases(&json!({"exitCode": code, "reason": reason})).into_iter().take(3) {
            trouble(pod, None);
        }
    }
}

#[test]
fn a_pod_that_has_ended_or_is_to_end_leaves_whatever_its_containers_say() {
    let ended = json!({"terminated": {"exitCode": 137, "reason": "Error"}});
    let dead = || PodOf::new(1).state(ended.clone(), json!({}));
    let evicted = dead().ended("Evicted", "The node was low on resource: memory.").facts();
    assert!(evicted.leaving);
    assert_eq!(evicted.fate.as_deref(), Some("Evicted: The node was low on resource: memory."));
    let shut_down = dead().ended("Terminated", "Pod was terminated in response to imminent node shutdown.").facts();
    assert!(shut_down.leaving && shut_down.fate.is_some());
    let preempted = dead().with_condition("DisruptionTarget", "True").facts();
    assert_eq!((preempted.leaving, preempted.fate), (true, None));
    let spared = dead().with_condition("DisruptionTarget", "False").facts();
    assert!(!spared.leaving && !dead().facts().leaving);
}

#[test]
fn a_pod_tells_whether_its_volumes_and_its_network_are_ready() {
    let prepared = |status: &str| PodOf::new(1).with_condition("PodReadyToStartContainers", status).facts().prepared;
    assert_eq!((prepared("True"), prepared("False"), PodOf::new(1).facts().prepared), (Some(true), Some(false), None));
}

#[test]
fn a_container_of_somebody_else_may_be_who_listens() {
    assert!(!PodOf::new(1).facts().alone);
    let mut pod = PodOf::new(1).json("x");
    pod["spec"]["containers"][0]["name"] = json!("exporter");
    let alone = |pod: &Value| PodFacts::of(&serde_json::from_value(pod.clone()).unwrap()).unwrap().alone;
    assert!(alone(&pod));
    pod["spec"]["initContainers"] = json!([{"name": "fetch"}]);
    assert!(alone(&pod), "it has ended before the model begins");
    pod["spec"]["initContainers"] = json!([{"name": "mesh", "restartPolicy": "Always"}]);
    assert!(!alone(&pod));
}

/// The phases that a container goes through between two crashes, with how it ended.
fn phases(terminated: &Value) -> [PodOf; 4] {
    let ended = json!({"terminated": terminated});
    let pod = |state: Value, last: &Value| PodOf::new(1).state(state, last.clone());
    [
        pod(ended.clone(), &json!({})),
        pod(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}), &ended),
        pod(json!({"running": {"startedAt": "2026-03-01T00:00:00Z"}}), &ended),
        pod(json!({"waiting": {"reason": "RunContainerError"}}), &ended),
    ]
}

#[test]
fn a_crash_reads_the_same_in_every_phase_of_the_kubelets_loop() {
    let rows = [
        (json!({"exitCode": 1, "reason": "Error"}), Kind::Crashing { exit_code: 1 }),
        (json!({"exitCode": 0, "reason": "Completed"}), Kind::Crashing { exit_code: 0 }),
        (json!({"exitCode": 137, "reason": "OOMKilled"}), Kind::OutOfMemory),
        (json!({"exitCode": 1, "reason": "OOMKilled"}), Kind::OutOfMemory),
        (json!({"exitCode": 137, "reason": "Error"}), Kind::NotAnswering),
        (json!({"exitCode": 143, "reason": "Error"}), Kind::NotAnswering),
    ];
    for (terminated, expected) in rows {
        for pod in phases(&terminated) {
            assert!(pod.facts().started);
            let trouble = pod.facts().trouble.map(|trouble| trouble.kind);
            assert_eq!(trouble, Some(expected.clone()), "{terminated}");
        }
    }
}

#[test]
fn a_container_that_recovered_is_in_no_trouble() {
    let mut pod = PodOf::ready(1).json("x");
    pod["status"]["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1}});
    assert_eq!(PodFacts::of(&serde_json::from_value(pod).unwrap()).unwrap().trouble, None);
}

#[test]
fn an_init_container_that_crashes_keeps_the_pod_from_starting_and_one_that_is_done_does_not() {
    let crashed = json!({"terminated": {"exitCode": 4, "reason": "Error"}});
    let pod = PodOf::new(1).waiting("PodInitializing").init(crashed, false);
    trouble(pod, Some(Kind::Crashing { exit_code: 4 }));
    let crashed = json!({"terminated": {"exitCode": 4, "reason": "Error"}});
    let whose = PodOf::new(1).init(crashed, false).facts().trouble.unwrap().container;
    assert_eq!(whose, "fetch", "its log is the one to look at");
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    trouble(PodOf::new(1).waiting("PodInitializing").init(done, true), None);
}
