use serde_json::json;

use super::*;
use crate::rollout::fixtures::{PodOf, Rollout, image, spec};

/// The wanted version is the second; the first came before it.
fn judged(rollout: &Rollout, pods: &[PodOf]) -> Progress {
    let pods: Vec<PodFacts> = pods.iter().map(PodOf::facts).collect();
    judge(&spec(json!({})), &image(2), Some(&rollout.of(2)), &pods)
}

const NON_ROOT: &str = "container has runAsNonRoot and image will run as root (pod: \"x\", container: model)";

#[track_caller]
fn stuck(progress: &Progress, reason: &str, words: &str) {
    let Progress::Stuck(why) = progress else { panic!("not stuck: {progress:?}") };
    assert_eq!(why.reason, reason);
    assert!(why.message.contains(words), "no '{words}' in: {}", why.message);
}

#[test]
fn without_a_deployment_nothing_has_started() {
    assert_eq!(judge(&spec(json!({})), &image(2), None, &[]), Progress::NotStarted);
}

#[test]
fn a_deployment_of_another_image_is_on_its_way_whatever_it_says_of_itself() {
    let rolling = Progress::Rolling { why: None };
    for rollout in [Rollout::complete(1), Rollout::overdue(1), Rollout::refused(1, "no")] {
        assert_eq!(judge(&spec(json!({})), &image(2), Some(&rollout.of(1)), &[]), rolling);
        assert_eq!(judged(&Rollout { behind: 1, ..rollout }, &[]), rolling, "its controller has not seen it");
    }
}

#[test]
fn a_deployment_whose_pods_all_run_the_wanted_template_is_complete() {
    assert_eq!(judged(&Rollout::complete(3), &[]), Progress::Complete);
}

#[test]
fn scaling_a_complete_deployment_leaves_it_complete() {
    assert_eq!(judged(&Rollout { wanted: 9, ..Rollout::complete(3) }, &[]), Progress::Complete);
}

#[test]
fn a_pause_by_hand_is_told_with_the_way_on() {
    let mut facts = Rollout::introducing(1).of(2);
    facts.paused = true;
    stuck(&judge(&spec(json!({})), &image(2), Some(&facts), &[]), "Paused", "kubectl rollout resume");
}

#[test]
fn refused_pods_are_told_at_once_with_the_api_servers_words() {
    let words = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    let Progress::Refused(why) = judged(&Rollout::refused(1, words), &[PodOf::ready(1)]) else { panic!() };
    assert_eq!(why.reason, "PodsRefused");
    assert!(why.message.contains(words), "{}", why.message);
}

#[test]
fn a_deployment_that_a_person_paused_is_told_with_the_command_that_resumes_it() {
    let paused = DeploymentFacts { paused: true, ..Rollout { updated: 0, ..Rollout::overdue(1) }.of(2) };
    let rolling = DeploymentFacts { overdue: false, ..paused };
    stuck(&judge(&spec(json!({})), &image(2), Some(&rolling), &[]), "Paused", "kubectl rollout resume");
    let serving = DeploymentFacts { paused: true, introduced: false, ..Rollout::complete(2).of(2) };
    assert_eq!(judge(&spec(json!({})), &image(2), Some(&serving), &[]), Progress::Complete);
}

/// What is in the way is named before the deadline, and in the same words after it.
#[test]
fn each_trouble_has_its_reason_and_its_remedy() {
    let ended = |exit_code: i32, reason: &str| {
        PodOf::new(2).state(json!({"terminated": {"exitCode": exit_code, "reason": reason}}), json!({}))
    };
    let rows = [
        (PodOf::new(2).unschedulable("0/1 nodes are available: 1 Too many pods."), "Unschedulable", "Too many pods"),
        (PodOf::new(2).waiting("ErrImagePull"), "ImagePullFailed", "spec.image.pullSecrets"),
        (
            PodOf::new(2).told("CreateContainerConfigError", "secret \"a\" not found"),
            "ConfigurationMissing",
            "spec.server.env",
        ),
        (PodOf::new(2).told("CreateContainerConfigError", NON_ROOT), "ContainerNotStarted", "runAsUser"),
        (PodOf::new(2).waiting("CreateContainerError"), "ContainerNotStarted", "cannot create or start"),
        (ended(128, "StartError"), "ContainerNotStarted", "cannot create or start"),
        (
            PodOf::new(2).told("RunContainerError", "exec: \"/x\": exec format error"),
            "NoMatchingPlatform",
            "docker buildx",
        ),
        (
            PodOf::new(2).told("ErrImagePull", "no match for platform in manifest: not found"),
            "NoMatchingPlatform",
            "docker buildx",
        ),
        (
            PodOf::new(2).told("ErrImagePull", "x509: certificate signed by unknown authority"),
            "ImagePullFailed",
            "certificate of its authority",
        ),
        (PodOf::new(2).crashing(255), "CrashLooping", "exec format error"),
        (PodOf::new(2).crashing(3), "CrashLooping", "exit code 3"),
        (PodOf::new(2).crashing(0), "CrashLooping", "did not answer GET /ping on port 8080"),
        (ended(137, "OOMKilled"), "OutOfMemory", "spec.server.resources.limits.memory"),
        (ended(137, "Error"), "NotAnswering", "GET /ping on port 8080"),
        (ended(143, "Error"), "NotAnswering", "spec.server.startupTimeout"),
        (PodOf::new(2).waiting("PreCreateHookError"), "Waiting", "PreCreateHookError"),
    ];
    for (pod, reason, words) in rows {
        let pods = [PodOf::ready(1), pod];
        let before = judged(&Rollout::introducing(1), &pods);
        let Progress::Rolling { why: Some(why) } = &before else { panic!("{reason}: {before:?}") };
        let after = judged(&Rollout::overdue(1), &pods);
        stuck(&after, reason, words);
        assert_eq!(after, Progress::Stuck(why.clone()), "the deadline changes the verdict, not the words");
    }
}

#[test]
fn a_server_without_a_health_path_is_told_by_its_port() {
    let spec = spec(json!({"server": {"type": "http", "port": 5000}}));
    let pods = [PodOf::new(2).state(json!({"running": {}}), json!({})).facts()];
    stuck(&judge(&spec, &image(2), Some(&Rollout::overdue(1).of(2)), &pods), "NotAnswering", "answer port 5000");
}

#[test]
fn a_container_that_runs_and_never_answers_is_told_when_the_deadline_has_passed() {
    let pods = [PodOf::ready(1), PodOf::new(2).state(json!({"running": {}}), json!({}))];
    assert_eq!(judged(&Rollout::introducing(1), &pods), Progress::Rolling { why: None });
    stuck(&judged(&Rollout::overdue(1), &pods), "NotAnswering", "on all interfaces");
}

#[test]
fn a_container_that_has_not_started_is_not_said_to_run() {
    let pods = [PodOf::ready(1), PodOf::new(2).waiting("ContainerCreating")];
    stuck(&judged(&Rollout::overdue(1), &pods), "Waiting", "volume cannot be mounted");
}

/// After a rollback, `ProgressDeadlineExceeded` of the version in between stands until its pods are gone.
#[test]
fn a_return_to_pods_that_still_serve_is_not_stuck() {
    let pods = [PodOf::ready(2), PodOf::new(1).crashing(1)];
    assert_eq!(judged(&Rollout::overdue(1), &pods), Progress::Rolling { why: None });
    stuck(&judged(&Rollout::overdue(1), &[PodOf::ready(2), PodOf::new(2).crashing(1)]), "CrashLooping", "exit code 1");
}

#[test]
fn only_pods_of_the_wanted_image_that_stay_are_asked_and_the_worst_is_told() {
    let others = [PodOf::new(1).crashing(1), PodOf::new(2).crashing(1).leaving()];
    assert_eq!(judged(&Rollout::introducing(1), &others), Progress::Rolling { why: None });
    let many = [PodOf::new(2).crashing(7), PodOf::new(2).waiting("ImagePullBackOff"), PodOf::new(2).crashing(3)];
    let pods: Vec<PodFacts> = many.iter().map(PodOf::facts).collect();
    let told = trouble(&spec(json!({})), &image(2), &pods).unwrap();
    let reversed: Vec<PodFacts> = pods.iter().rev().cloned().collect();
    assert_eq!(told.reason, "ImagePullFailed");
    assert_eq!(trouble(&spec(json!({})), &image(2), &reversed), Some(told), "whatever order pods are listed in");
}

fn got(rollout: &Rollout, deployed: u8, pods: &[PodOf], progress: &Progress) -> Option<String> {
    let pods: Vec<PodFacts> = pods.iter().map(PodOf::facts).collect();
    served(Some(&rollout.of(deployed)), &pods, progress)
}

#[test]
fn users_get_the_old_version_until_the_new_one_is_complete() {
    let rolling = Progress::Rolling { why: None };
    let both = [PodOf::ready(2), PodOf::ready(1)];
    assert_eq!(got(&Rollout::introducing(1), 2, &both, &rolling), Some(image(1)));
    assert_eq!(got(&Rollout::complete(1), 2, &[PodOf::ready(2)], &Progress::Complete), Some(image(2)));
    let leaving = [PodOf::ready(2), PodOf::ready(1).leaving()];
    assert_eq!(got(&Rollout::introducing(1), 2, &leaving, &rolling), None, "its Deployment is about to say so");
    let half = Rollout { wanted: 2, ..Rollout::introducing(1) };
    assert_eq!(got(&half, 2, &leaving, &rolling), Some(image(2)), "nothing else serves, and not all of it is there");
}

#[test]
fn before_the_deployment_is_updated_users_get_what_it_runs() {
    let rolling = Progress::Rolling { why: None };
    assert_eq!(got(&Rollout::complete(1), 1, &[PodOf::ready(1)], &rolling), Some(image(1)));
}

#[test]
fn when_nothing_serves_nobody_gets_anything() {
    let rolling = Progress::Rolling { why: None };
    assert_eq!(got(&Rollout::introducing(0), 2, &[PodOf::new(2)], &rolling), None);
    assert_eq!(served(None, &[PodOf::ready(1).facts()], &Progress::NotStarted), None);
    let down = Rollout { available: 0, ..Rollout::complete(1) };
    assert_eq!(got(&down, 2, &[PodOf::new(2).crashing(1)], &Progress::Complete), None);
}

#[test]
fn scaled_to_zero_the_version_is_still_named() {
    assert_eq!(got(&Rollout::complete(0), 2, &[], &Progress::Complete), Some(image(2)));
}

/// Of a real eviction: the pod stays in the list as Failed, and its successor is pending.
#[test]
fn a_pod_that_has_ended_does_not_speak_for_its_successor() {
    let killed = json!({"terminated": {"exitCode": 137, "reason": "Error"}});
    let dead = || PodOf::new(2).state(killed.clone(), json!({}));
    let evicted = || dead().ended("Evicted", "The node was low on resource: memory.");
    let down = Rollout { available: 0, ..Rollout::complete(1) };
    for dead in [evicted(), dead().with_condition("DisruptionTarget", "True"), dead().leaving()] {
        let pods = [dead, PodOf::new(2).waiting("ContainerCreating")];
        let pods: Vec<PodFacts> = pods.iter().map(PodOf::facts).collect();
        assert_eq!(trouble(&spec(json!({})), &image(2), &pods), None);
        assert_eq!(judge(&spec(json!({})), &image(2), Some(&down.of(2)), &pods), Progress::Complete);
    }
    let returned = [PodOf::ready(2), evicted()];
    assert_eq!(judged(&Rollout::overdue(1), &returned), Progress::Rolling { why: None }, "all that live are ready");
    let starting = [evicted(), PodOf::new(2).waiting("ContainerCreating")];
    stuck(&judged(&Rollout::overdue(1), &starting), "PodsEnded", "Evicted: The node was low on resource: memory.");
}

#[test]
fn words_name_the_pod_the_container_and_the_version_and_carry_the_nodes_own() {
    let pods = [PodOf::new(2).told("CreateContainerConfigError", "secret \"answer\" not found").facts()];
    let told = trouble(&spec(json!({})), &image(2), &pods).unwrap().message;
    let version = crate::rollout::fixtures::digest(2).short().to_owned();
    let whose =
        format!("(pod grape-scorer-1, container model, version {version}); the node says: secret \"answer\" not found");
    assert!(told.ends_with(&whose), "{told}");
    let pods = [PodOf::new(2).crashing(3).facts()];
    let told = trouble(&spec(json!({})), &image(2), &pods).unwrap().message;
    assert!(told.contains("kubectl logs grape-scorer-1 -c model --previous"), "{told}");
}

#[test]
fn a_container_that_has_not_started_is_told_what_it_waits_for_where_the_kubelet_says_so() {
    for (prepared, words) in [("True", "the pull takes longer"), ("False", "a volume cannot be mounted")] {
        let pod = PodOf::new(2).waiting("ContainerCreating").with_condition("PodReadyToStartContainers", prepared);
        stuck(&judged(&Rollout::overdue(1), &[pod]), "Waiting", words);
    }
}

mod unwell {
    use super::*;
    use crate::rollout::Unwell;

    fn told(unwell: Unwell, alone: bool, rollout: &Rollout) -> Progress {
        let pod = PodOf::new(2).state(json!({"running": {}}), json!({})).facts();
        let pods = [PodFacts { unwell: Some(unwell), alone, ..pod }];
        judge(&spec(json!({})), &image(2), Some(&rollout.of(2)), &pods)
    }

    fn refused(listening: &[u16]) -> Unwell {
        Unwell { status: None, listening: listening.to_vec() }
    }

    #[test]
    fn a_wrong_port_is_told_before_the_deadline_with_the_one_that_is_listened_on() {
        let rolling = Rollout::introducing(1);
        let Progress::Rolling { why: Some(why) } = told(refused(&[5000]), true, &rolling) else { panic!() };
        assert_eq!(why.reason, "NotAnswering");
        assert!(
            why.message.contains("nothing listens on 8080; 5000 is listened on; set spec.server.port"),
            "{}",
            why.message
        );
        assert_eq!(told(refused(&[5000]), true, &Rollout::overdue(1)), Progress::Stuck(why), "the same words after it");
        let Progress::Rolling { why: Some(why) } = told(refused(&[8080]), true, &rolling) else { panic!() };
        assert!(why.message.contains("not at 127.0.0.1"), "{}", why.message);
    }

    #[test]
    fn a_wrong_health_path_is_told_with_its_answer() {
        let unwell = Unwell { status: Some(404), listening: vec![8080] };
        let Progress::Rolling { why: Some(why) } = told(unwell, true, &Rollout::introducing(1)) else { panic!() };
        assert!(why.message.contains("GET /ping on port 8080: it is answered with 404"), "{}", why.message);
        assert!(why.message.contains("spec.server.healthPath"), "{}", why.message);
    }

    #[test]
    fn a_model_that_may_be_loading_is_in_no_trouble_before_the_deadline() {
        let loading = Unwell { status: Some(503), listening: vec![8080] };
        for (unwell, alone) in [(refused(&[]), true), (loading, true), (refused(&[15001]), false)] {
            let words = match unwell.status {
                Some(_) => "it is answered with 503",
                None => "nothing listens on 8080",
            };
            assert_eq!(told(unwell.clone(), alone, &Rollout::introducing(1)), Progress::Rolling { why: None });
            stuck(&told(unwell, alone, &Rollout::overdue(1)), "NotAnswering", words);
        }
    }
}
