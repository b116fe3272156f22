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
fn trouble(pod: PodOf, expected: Option<Trouble>) {
    assert_eq!(pod.facts().trouble, expected);
}

#[test]
fn a_pod_that_no_node_takes_is_told_in_the_schedulers_words_without_its_numbers() {
    let told = |words: &str| Some(Trouble::Unschedulable(words.into()));
    let words = "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: }, 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
    let later = "0/4 nodes are available: 3 Insufficient cpu, 1 node(s) had untolerated taint {gpu: }.";
    for words in [words, later] {
        trouble(PodOf::new(1).unschedulable(words), told("Insufficient cpu, node(s) had untolerated taint {gpu: }"));
    }
    trouble(
        PodOf::new(1).unschedulable("no nodes available to schedule pods"),
        told("no nodes available to schedule pods"),
    );
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
    for phase in ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"] {
        trouble(PodOf::new(1).waiting(phase), Some(Trouble::ImagePull));
    }
}

#[test]
fn a_missing_secret_or_config_map_is_a_matter_of_configuration() {
    for phase in ["CreateContainerConfigError", "CreateContainerError"] {
        trouble(PodOf::new(1).waiting(phase), Some(Trouble::Configuration));
    }
}

#[test]
fn any_other_wait_is_told_by_its_name() {
    trouble(PodOf::new(1).waiting("PreCreateHookError"), Some(Trouble::Waiting("PreCreateHookError".into())));
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
        (json!({"exitCode": 1, "reason": "Error"}), Trouble::Crashing { exit_code: 1 }),
        (json!({"exitCode": 0, "reason": "Completed"}), Trouble::Crashing { exit_code: 0 }),
        (json!({"exitCode": 128, "reason": "StartError"}), Trouble::Crashing { exit_code: 128 }),
        (json!({"exitCode": 137, "reason": "OOMKilled"}), Trouble::OutOfMemory),
        (json!({"exitCode": 1, "reason": "OOMKilled"}), Trouble::OutOfMemory),
        (json!({"exitCode": 137, "reason": "Error"}), Trouble::NotAnswering),
        (json!({"exitCode": 143, "reason": "Error"}), Trouble::NotAnswering),
    ];
    for (terminated, expected) in rows {
        for pod in phases(&terminated) {
            assert_eq!(pod.facts().trouble, Some(expected.clone()), "{terminated}");
            assert!(pod.facts().started);
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
    trouble(pod, Some(Trouble::Crashing { exit_code: 4 }));
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    trouble(PodOf::new(1).waiting("PodInitializing").init(done, true), None);
}
