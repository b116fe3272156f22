use serde_json::{Value, json};

use super::*;
use crate::{
    api::conditions::{IMAGE_RESOLVED, READY, RECONCILING},
    controller::decide::{
        labels::labelled,
        world::{Turn, World},
    },
    images::{ImageDetails, labels::PROFILE},
    mlflow::{Problem, problem::reason},
    rollout::fixtures::{built_for, digest, pushed, same_images, unreachable},
};

const URI: &str = "https://dagshub.com/vintner/wine.mlflow";

fn by_label() -> Value {
    json!({"mlflow": {"trackingURI": URI, "require": {"f1_score": {"min": 0.8, "notBelowStableBy": 0.01}}}})
}

fn by_alias() -> Value {
    json!({"mlflow": {"trackingURI": URI, "model": "wine", "alias": "champion", "require": {"f1_score": {"min": 0.8}}}})
}

/// The `number`th push, by the run `r<number>`.
fn of_run(number: u8) -> ImageDetails {
    labelled(number, json!({RUN_ID: format!("r{number}")}))
}

fn measured(number: u8, f1: f64) -> ImageDetails {
    labelled(number, json!({PROFILE: json!({"version": 1, "kind": "class", "metrics": {"f1_score": f1}}).to_string()}))
}

fn run(number: u8, f1: f64) -> Run {
    let metrics = [("f1_score".to_owned(), f1), ("loss".to_owned(), 0.25)].into();
    Run { id: format!("r{number}"), version: None, metrics, left_out: vec!["gain".into()] }
}

impl World {
    fn hears(&mut self, number: u8, answer: Result<Run, Problem>) -> Turn {
        self.runs.insert(digest(number).to_string(), answer);
        self.turn()
    }

    /// Serves the first push, whose F1 is 0.9, and has seen the second.
    fn with_second(fields: Value) -> Self {
        let mut world = Self::new(fields);
        world.push(of_run(1));
        world.hears(1, Ok(run(1, 0.9)));
        world.serve(1);
        world.push(of_run(2));
        world.seen.details.insert(digest(1), Ok(of_run(1)));
        world
    }

    fn question(&self) -> Option<Question> {
        let spec = ValidSpec::parse(crate::rollout::fixtures::NAME, &self.spec).unwrap();
        question(&spec, &self.seen, &self.observe())
    }

    /// What a controller that starts now knows: nothing but what is in the cluster.
    fn restart(&mut self) {
        self.runs.clear();
        self.seen = Observation::default();
    }
}

/// Status and reason of a condition; `-` where it is absent.
fn is(turn: &Turn, kind: &str) -> String {
    find(&turn.status.conditions, kind).map_or_else(|| "-".into(), |known| format!("{} {}", known.status, known.reason))
}

fn words<'a>(turn: &'a Turn, kind: &str) -> &'a str {
    &find(&turn.status.conditions, kind).unwrap().message
}

fn stable(turn: &Turn) -> Option<&str> {
    turn.status.stable.as_ref().map(|stable| stable.digest.as_str())
}

fn wants(turn: &Turn) -> Option<Digest> {
    turn.plan.as_ref().unwrap().target.digest.clone()
}

fn away() -> Problem {
    Problem::new(reason::UNREACHABLE, "MLflow cannot be asked")
}

#[test]
fn a_version_that_reached_what_is_required_is_introduced_and_shows_its_run() {
    let mut world = World::with_second(by_label());
    let turn = world.turn();
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(1)), "False AwaitingMetrics".into()));
    assert_eq!(is(&turn, RUN_RESOLVED), "False Asking");
    assert!(turn.notes.is_empty(), "{:?}", turn.told());
    let turn = world.hears(2, Ok(run(2, 0.895)));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(2)), "True RequirementsMet".into()));
    assert!(words(&turn, VERSION_ACCEPTED).contains("(run r2): f1_score is 0.895, where users get 0.9"));
    assert_eq!(turn.told(), ["RollingOut"]);
    let turn = world.serve(2);
    assert_eq!((stable(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(2).as_str()), "True RequirementsMet".into()));
    assert_eq!(is(&turn, RUN_RESOLVED), "True Resolved");
    assert!(
        words(&turn, RUN_RESOLVED)
            .ends_with("from run r2 with 2 metrics; left out, since they are no finite numbers: gain")
    );
    let stable = turn.status.stable.unwrap();
    assert_eq!((stable.origin.run_id.as_deref(), stable.origin.metrics["f1_score"].as_str()), (Some("r2"), "0.895"));
    assert_eq!(stable.tracking_uri.as_deref(), Some(URI));
}

#[test]
fn a_version_that_missed_it_is_shown_and_told_once_and_users_keep_theirs() {
    let mut world = World::with_second(by_label());
    let turn = world.hears(2, Ok(run(2, 0.7)));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(1)), "False RequirementNotMet".into()));
    assert!(words(&turn, VERSION_ACCEPTED).contains("f1_score is 0.7, less than the 0.8 of min"));
    assert_eq!((is(&turn, READY), is(&turn, STALLED)), ("True Serving".into(), "-".into()));
    let candidate = turn.status.candidate.as_ref().unwrap();
    assert_eq!((candidate.digest.as_str(), &*candidate.origin.metrics["f1_score"]), (digest(2).as_str(), "0.7"));
    assert_eq!(turn.told(), ["VersionRefused"]);
    let again = world.turn();
    assert_eq!((&again.status.conditions, again.notes.len()), (&turn.status.conditions, 0));
    // The next one is better.
    world.push(of_run(3));
    world.seen.details.insert(digest(1), Ok(of_run(1)));
    assert_eq!(world.turn().told(), [""; 0]);
    assert_eq!(world.hears(3, Ok(run(3, 0.95))).told(), ["RollingOut"]);
}

#[test]
fn a_bound_that_is_lowered_takes_the_version_that_was_refused() {
    let mut world = World::with_second(by_label());
    world.hears(2, Ok(run(2, 0.7)));
    world.change(json!({"mlflow": {"trackingURI": URI, "require": {"f1_score": {"min": "0.6"}}}}));
    let turn = world.turn();
    assert_eq!((wants(&turn), turn.told()), (Some(digest(2)), vec!["RollingOut"]));
}

#[test]
fn a_persons_pin_is_not_judged() {
    let mut world = World::with_second(by_label());
    world.hears(2, Ok(run(2, 0.7)));
    world.change(by_label());
    world.spec["image"]["pin"] = json!(digest(2));
    let turn = world.turn();
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(2)), "True Pinned".into()));
}

#[test]
fn what_runs_is_never_taken_down() {
    let mut world = World::new(json!({}));
    world.push(of_run(1));
    world.turn();
    world.serve(1);
    world.change(by_label());
    let turn = world.hears(1, Ok(run(1, 0.5)));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(1)), "True AlreadyRunning".into()));
    assert_eq!((is(&turn, READY), is(&turn, RUN_RESOLVED)), ("True Serving".into(), "True Resolved".into()));
}

#[test]
fn with_mlflow_away_nothing_changes_and_a_new_version_waits() {
    let mut world = World::with_second(by_label());
    let turn = world.hears(2, Err(away()));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(1)), "False AwaitingMetrics".into()));
    assert_eq!(is(&turn, RUN_RESOLVED), "False TrackingServerUnreachable");
    assert_eq!((is(&turn, READY), turn.told()), ("True Serving".into(), vec!["TrackingServerUnreachable"]));
    let turn = world.hears(2, Ok(run(2, 0.95)));
    assert_eq!((wants(&turn), turn.told()), (Some(digest(2)), vec!["RollingOut"]));
    // Without a requirement a run is only shown.
    let mut world = World::with_second(json!({"mlflow": {"trackingURI": URI}}));
    let turn = world.hears(2, Err(away()));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(2)), "-".into()));
}

#[test]
fn the_first_version_of_all_is_held_back_too() {
    let problem = |reason| Err(Problem::new(reason, "…"));
    for (answer, ready, way) in [
        (None, "False AwaitingMetrics", RECONCILING),
        (Some(problem(reason::UNREACHABLE)), "False AwaitingMetrics", RECONCILING),
        (Some(problem(reason::RUN_UNFINISHED)), "False AwaitingMetrics", RECONCILING),
        (Some(problem(reason::SECRET_UNAVAILABLE)), "False AwaitingMetrics", RECONCILING),
        (Some(problem(reason::SECRET_MISSING)), "False AwaitingMetrics", STALLED),
        (Some(problem(reason::UNAUTHORIZED)), "False AwaitingMetrics", STALLED),
        (Some(problem(reason::RUN_FAILED)), "False RunFailed", STALLED),
        (Some(Ok(run(1, 0.7))), "False RequirementNotMet", STALLED),
    ] {
        let mut world = World::new(by_label());
        world.push(of_run(1));
        if let Some(answer) = answer {
            world.runs.insert(digest(1).to_string(), answer);
        }
        let turn = world.turn();
        assert_eq!((wants(&turn), is(&turn, READY)), (None, ready.into()));
        assert!(is(&turn, way).starts_with("True"), "{ready}: {:?}", turn.status.conditions);
        assert_eq!(is(&turn, IMAGE_RESOLVED), "True Resolved");
        assert_eq!(turn.status.candidate.as_ref().unwrap().digest, digest(1).as_str());
        // A restart writes nothing.
        let before = turn.status;
        world.restart();
        assert_eq!(world.turn().status, before, "{ready}: before the registry answers");
        world.push(of_run(1));
        let after = world.turn().status;
        assert_eq!(after.conditions, before.conditions, "{ready}: before MLflow answers");
    }
}

#[test]
fn what_was_said_stands_over_a_restart_and_mlflow_is_not_asked_again() {
    let mut world = World::with_second(by_label());
    let before = world.hears(2, Ok(run(2, 0.7))).status;
    world.restart();
    let turn = world.turn();
    assert_eq!((turn.status, turn.notes.len()), (before.clone(), 0));
    world.push(of_run(2));
    world.seen.details.insert(digest(1), Ok(of_run(1)));
    let question = world.question().unwrap();
    let known = question.versions[digest(2).as_str()].known.clone().unwrap();
    assert_eq!((known.id.as_str(), known.metrics["f1_score"]), ("r2", 0.7));
    world.runs.insert(digest(2).to_string(), Ok(known));
    assert_eq!(world.turn().status, before);
    // Of another spec nothing is known.
    world.change(by_label());
    assert!(world.question().unwrap().versions.values().all(|asked| asked.known.is_none()));
}

#[test]
fn without_a_server_the_images_own_labels_are_judged() {
    let mut world = World::new(json!({"mlflow": {"require": {"f1_score": {"min": 0.8, "notBelowStableBy": 0.01}}}}));
    assert_eq!(world.question(), None);
    world.push(measured(1, 0.9));
    world.turn();
    world.serve(1);
    for (image, refused, said) in [
        (measured(2, 0.895), None, "(by its image's labels): f1_score is 0.895, where users get 0.9"),
        (measured(2, 0.85), Some("False RequirementNotMet"), "more than 0.01 below the 0.9"),
        (
            pushed(2),
            Some("False RequirementNotMet"),
            "the image's labels hold no metrics; let python -m modelship_profile",
        ),
        (labelled(2, json!({PROFILE: "{"})), Some("False RequirementNotMet"), "is no JSON object"),
    ] {
        world.push(image);
        world.seen.details.insert(digest(1), Ok(measured(1, 0.9)));
        let spec = ValidSpec::parse(crate::rollout::fixtures::NAME, &world.spec).unwrap();
        let plan = world.plan();
        let accepted = plan.accepted.unwrap();
        assert!(accepted.message.contains(said), "{accepted:?}");
        assert_eq!(plan.held.is_some(), refused.is_some(), "{accepted:?}");
        assert_eq!(resolved(&spec, plan.target.digest.as_ref(), &world.seen, &world.observe()), None);
    }
}

#[test]
fn an_image_without_a_run_is_told_and_its_own_figures_do_not_replace_those_of_the_server() {
    let mut world = World::with_second(by_label());
    world.push(measured(2, 0.95));
    world.seen.details.insert(digest(1), Ok(of_run(1)));
    let turn = world.turn();
    assert_eq!((wants(&turn), is(&turn, RUN_RESOLVED)), (Some(digest(1)), "False NoRunInImage".into()));
    assert!(words(&turn, RUN_RESOLVED).contains(RUN_ID));
    assert_eq!(is(&turn, VERSION_ACCEPTED), "False RequirementNotMet");
    assert!(words(&turn, VERSION_ACCEPTED).contains(RUN_ID), "{}", words(&turn, VERSION_ACCEPTED));
    assert!(!world.question().unwrap().versions.contains_key(digest(2).as_str()));
}

#[test]
fn one_cause_is_one_event_whether_it_holds_back_the_first_version_or_the_next() {
    let unlabelled = |mut world: World, number: u8| {
        world.push(pushed(number));
        world.seen.details.insert(digest(1), Ok(of_run(1)));
        world.turn()
    };
    let failed = |mut world: World, number: u8| {
        world.push(of_run(number));
        world.seen.details.insert(digest(1), Ok(of_run(1)));
        world.hears(number, Err(Problem::new(reason::RUN_FAILED, "run r9 has failed; train again")))
    };
    let by_image = json!({"mlflow": {"require": {"f1_score": {"min": 0.8}}}});
    for (case, turn, words) in [
        ("the first, without a label", unlabelled(World::new(by_label()), 1), RUN_ID),
        ("the first, without figures in its labels", unlabelled(World::new(by_image), 1), "hold no metrics"),
        ("the next, without a label", unlabelled(World::with_second(by_label()), 3), RUN_ID),
        ("the first, of a run that failed", failed(World::new(by_label()), 1), "r9 has failed"),
        ("the next, of a run that failed", failed(World::with_second(by_label()), 3), "r9 has failed"),
    ] {
        assert_eq!(turn.told(), ["VersionRefused"], "{case}: {:#?}", turn.notes);
        assert!(turn.notes[0].text.contains(words), "{case}: {}", turn.notes[0].text);
    }
}

#[test]
fn a_first_version_that_waits_for_its_metrics_is_told_by_what_is_in_the_way_alone() {
    let mut world = World::new(by_label());
    world.push(of_run(1));
    let turn = world.turn();
    assert_eq!((is(&turn, READY), turn.told()), ("False AwaitingMetrics".into(), vec![]));
    assert_eq!(world.hears(1, Err(away())).told(), ["TrackingServerUnreachable"]);
    let refused = Problem::new(reason::UNAUTHORIZED, "MLflow refuses the password");
    let turn = world.hears(1, Err(refused));
    assert_eq!((is(&turn, STALLED), turn.told()), ("True AwaitingMetrics".into(), vec!["Unauthorized"]));
}

#[test]
fn a_tag_that_moves_back_to_what_users_had_is_followed_though_that_is_worse() {
    let moved_back = || {
        let mut world = World::with_second(by_label());
        world.hears(2, Ok(run(2, 0.95)));
        world.serve(2);
        world.push(of_run(1));
        world.seen.details.insert(digest(2), Ok(of_run(2)));
        // It is not compared, so the run of what users get is not waited for.
        world.runs.remove(digest(2).as_str());
        world
    };
    let turn = moved_back().hears(1, Ok(run(1, 0.9)));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(1)), "True RequirementsMet".into()));
    assert!(words(&turn, VERSION_ACCEPTED).ends_with("f1_score is 0.9, and users have had this version before"));
    let turn = moved_back().hears(1, Ok(run(1, 0.79)));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(2)), "False RequirementNotMet".into()));
}

#[test]
fn an_image_without_a_run_is_no_other_ones_run_though_the_alias_still_says_so() {
    let mut world = World::new(by_alias());
    world.push(pushed(1));
    world.hears(1, Ok(run(1, 0.9)));
    world.serve(1);
    world.push(pushed(2));
    world.seen.details.insert(digest(1), Ok(pushed(1)));
    let asked = world.question().unwrap().versions;
    assert_eq!(asked[digest(2).as_str()].taken, ["r1".to_owned()].into());
    assert_eq!(asked[digest(1).as_str()].taken, BTreeSet::new());
    let turn = world.hears(2, Err(Problem::new(reason::RUN_TAKEN, "the alias is of run r1")));
    assert_eq!((wants(&turn), is(&turn, VERSION_ACCEPTED)), (Some(digest(1)), "False AwaitingMetrics".into()));
    world.hears(2, Ok(run(2, 0.95)));
    world.serve(2);
    // What users had is asked for by its own run, wherever the alias is now.
    world.push(pushed(1));
    world.seen.details.insert(digest(2), Ok(pushed(2)));
    assert_eq!(world.question().unwrap().versions[digest(1).as_str()].which, Which::Run("r1".into()));
}

#[test]
fn the_alias_is_asked_for_a_new_version_alone() {
    let mut world = World::new(by_alias());
    world.push(pushed(1));
    let alias = Which::Alias { model: "wine".into(), alias: "champion".into() };
    assert_eq!(world.question().unwrap().versions[digest(1).as_str()].which, alias);
    let found = Run { version: Some("3".into()), ..run(1, 0.9) };
    world.hears(1, Ok(found));
    let turn = world.serve(1);
    let origin = &turn.status.stable.as_ref().unwrap().origin;
    assert_eq!((origin.run_id.as_deref(), origin.model_version.as_deref()), (Some("r1"), Some("3")));
    assert_eq!(world.question().unwrap().versions[digest(1).as_str()].which, Which::Run("r1".into()));
    world.push(of_run(2));
    world.seen.details.insert(digest(1), Ok(pushed(1)));
    let asked = world.question().unwrap().versions;
    assert_eq!((&asked[digest(2).as_str()].which, asked[digest(2).as_str()].expected.as_deref()), (&alias, Some("r2")));
}

#[test]
fn the_same_image_under_another_digest_keeps_its_run_wherever_the_alias_points() {
    let image = built_for(1, &["linux/amd64", "linux/arm64"]);
    let mut world = World::new(by_alias());
    world.push(image.clone());
    world.hears(1, Ok(Run { version: Some("7".into()), ..run(1, 0.9) }));
    world.serve(1);
    world.push(same_images(2, &image));
    world.seen.details.insert(digest(1), Ok(image));
    world.seen.pullable = Some(false);
    let asked = |world: &World| world.question().unwrap().versions[digest(2).as_str()].which.clone();
    assert_eq!(asked(&world), Which::Run("r1".into()));
    assert_eq!(wants(&world.turn()), Some(digest(2)));
    world.seen.pullable = Some(true);
    let heard = world.hears(2, Ok(run(1, 0.9)));
    assert_eq!(is(&heard, RUN_RESOLVED), "True Resolved");
    let origin = world.serve(2).status.stable.unwrap().origin;
    assert_eq!((origin.run_id.as_deref(), origin.model_version.as_deref()), (Some("r1"), Some("7")));
    assert_eq!(asked(&world), Which::Run("r1".into()));
}

#[test]
fn the_run_of_what_users_get_is_waited_for_where_it_is_the_measure() {
    let mut world = World::with_second(by_label());
    world.runs.remove(digest(1).as_str());
    let turn = world.hears(2, Ok(run(2, 0.95)));
    assert!(words(&turn, VERSION_ACCEPTED).ends_with("which users get"), "{}", words(&turn, VERSION_ACCEPTED));
    // What was known of it before is good enough when MLflow fails.
    world.runs.insert(digest(1).to_string(), Err(away()));
    assert_eq!(wants(&world.turn()), Some(digest(2)));
}

#[test]
fn a_registry_that_fails_changes_nothing_of_what_was_said() {
    let mut world = World::with_second(by_label());
    let before = world.hears(2, Ok(run(2, 0.7))).status;
    world.seen = Observation { problem: Some(unreachable()), ..Observation::default() };
    let turn = world.turn();
    assert_eq!((turn.status.candidate, is_refused(&turn.status.conditions)), (before.candidate, true));
}

fn is_refused(conditions: &[Condition]) -> bool {
    find(conditions, VERSION_ACCEPTED).is_some_and(|accepted| accepted.reason == REQUIREMENT_NOT_MET)
}

#[test]
fn of_many_metrics_the_required_ones_are_shown_first() {
    let mut metrics: BTreeMap<_, _> = (0..40).map(|number| (format!("a{number:02}"), "1".to_owned())).collect();
    metrics.insert("z".into(), "0.5".into());
    metrics.insert("n".repeat(LONGEST_NAME + 1), "0.5".into());
    let require = vec![Requirement { metric: "z".into(), min: Some(0.1), ..Requirement::default() }];
    let shown = cut(metrics, Some(&Training { tracking: None, require }));
    assert_eq!((shown.len(), shown["z"].as_str(), shown.contains_key("a18")), (MOST_METRICS, "0.5", true));
}
