use serde_json::{Value, json};

use super::*;
use crate::rollout::fixtures::{answered, built_for, digest, platform, pushed, same_images, spec, unreachable};

/// One question: a spec's image, what runs, what the registry said, and which nodes there are.
struct Question {
    image: valid::Image,
    running: Option<Digest>,
    /// Whether the pinned version's template is.
    stored: bool,
    /// Whether an image of another repository runs.
    elsewhere: bool,
    /// Whether what runs can no longer be pulled, and whether it is this model's turn.
    lost: bool,
    in_turn: bool,
    seen: Observation,
    nodes: BTreeSet<Platform>,
}

impl Question {
    fn new(seen: Observation) -> Self {
        let nodes = BTreeSet::from([platform("linux/amd64")]);
        Self {
            image: spec(json!({})).image,
            running: None,
            stored: false,
            elsewhere: false,
            lost: false,
            in_turn: true,
            seen,
            nodes,
        }
    }

    fn image(mut self, fields: Value) -> Self {
        self.image = spec(json!({"image": fields})).image;
        self
    }

    fn running(mut self, number: u8) -> Self {
        self.running = Some(digest(number));
        self
    }

    fn nodes(mut self, nodes: &[&str]) -> Self {
        self.nodes = nodes.iter().map(|name| platform(name)).collect();
        self
    }

    fn decide(&self) -> Target {
        let deployed = self.elsewhere || self.running.is_some();
        let Self { running, stored, lost, in_turn, .. } = self;
        let running = Running { digest: running.as_ref(), stored: *stored, deployed, lost: *lost, in_turn: *in_turn };
        decide(&self.image, running, &self.seen, &self.nodes)
    }
}

#[track_caller]
fn wants(target: &Target, number: u8, unresolved: Option<&str>) {
    assert_eq!(target.digest, Some(digest(number)));
    assert_eq!(target.unresolved.as_ref().map(|why| why.reason.as_str()), unresolved);
}

fn silent() -> Observation {
    Observation::default()
}

fn down() -> Observation {
    Observation { problem: Some(unreachable()), ..silent() }
}

#[test]
fn nothing_is_wanted_before_the_first_answer() {
    let target = Question::new(silent()).decide();
    assert_eq!(target.digest, None);
    let why = target.unresolved.unwrap();
    assert_eq!((why.reason.as_str(), why.pending), ("Resolving", true));
    assert!(why.message.contains("docker.io/vintner/wine-quality"), "{}", why.message);
}

#[test]
fn the_first_answer_is_taken() {
    wants(&Question::new(answered(pushed(1))).decide(), 1, None);
}

#[test]
fn a_push_is_taken() {
    wants(&Question::new(answered(pushed(2))).running(1).decide(), 2, None);
}

#[test]
fn a_push_back_to_an_earlier_digest_is_a_push() {
    wants(&Question::new(answered(pushed(1))).running(2).decide(), 1, None);
}

#[test]
fn a_new_attestation_on_the_same_images_changes_nothing() {
    let seen = answered(same_images(2, &pushed(1)));
    wants(&Question::new(seen).running(1).decide(), 1, None);
}

#[test]
fn a_push_for_a_platform_that_no_node_has_changes_nothing() {
    let mut seen = answered(built_for(2, &["linux/amd64", "linux/arm64"]));
    let mut before = built_for(1, &["linux/amd64", "linux/arm64"]);
    before.platforms[0] = seen.latest.as_ref().unwrap().platforms[0].clone();
    seen.details.insert(digest(1), Ok(before));
    let question = Question::new(seen).running(1);
    wants(&question.decide(), 1, None);
    wants(&question.nodes(&["linux/amd64", "linux/arm64"]).decide(), 2, None);
}

#[test]
fn while_no_node_takes_pods_no_platform_is_refused_and_a_push_is_what_shares_no_image_with_what_runs() {
    wants(&Question::new(answered(pushed(2))).running(1).nodes(&[]).decide(), 2, None);
    wants(&Question::new(answered(same_images(2, &pushed(1)))).running(1).nodes(&[]).decide(), 1, None);
    wants(&Question::new(answered(built_for(1, &["linux/s390x"]))).nodes(&[]).decide(), 1, None);
}

#[test]
fn a_drained_last_node_makes_no_push_of_an_index_that_was_rightly_kept_out() {
    let before = built_for(1, &["linux/amd64"]);
    let mut after = built_for(2, &["linux/amd64", "linux/arm64"]);
    after.platforms[0] = before.platforms[0].clone();
    let mut seen = answered(after);
    seen.details.insert(digest(1), Ok(before));
    for nodes in [&["linux/amd64"][..], &[]] {
        wants(&Question::new(seen.clone()).running(1).nodes(nodes).decide(), 1, None);
    }
}

#[test]
fn what_the_registry_collected_before_it_was_known_makes_room_for_the_tag_in_its_turn() {
    let mut seen = answered(pushed(2));
    seen.details.insert(digest(1), Err(Problem::new(reason::DIGEST_NOT_FOUND, "gone")));
    let mut question = Question::new(seen).running(1);
    wants(&question.decide(), 2, None);
    assert_eq!(question.decide().replaces, Some(Replaces::Unknown));
    question.in_turn = false;
    wants(&question.decide(), 1, None);
}

#[test]
fn what_can_no_longer_be_pulled_makes_room_for_the_same_image_in_its_turn() {
    let turns = |lost, in_turn| {
        let question = Question::new(answered(same_images(2, &pushed(1)))).running(1);
        Question { lost, in_turn, ..question }.decide()
    };
    let replaced = turns(true, true);
    wants(&replaced, 2, None);
    assert_eq!(replaced.replaces, Some(Replaces::SameImage));
    for (lost, in_turn) in [(true, false), (false, true), (false, false)] {
        let kept = turns(lost, in_turn);
        wants(&kept, 1, None);
        assert_eq!(kept.replaces, None);
    }
    let mut kept = Question::new(answered(same_images(2, &pushed(1)))).image(json!({"autoUpdate": false})).running(1);
    kept.lost = true;
    wants(&kept.decide(), 1, None);
    let push = Question { lost: true, in_turn: false, ..Question::new(answered(pushed(2))).running(1) };
    wants(&push.decide(), 2, None);
    assert_eq!(push.decide().replaces, None, "a push waits for no turn");
}

#[test]
fn an_index_without_the_nodes_own_image_is_not_introduced() {
    let index = built_for(2, &["linux/amd64", "linux/arm64"]);
    let [(_, amd), (_, arm)] = &index.platforms[..] else { panic!() };
    let gone = || Err(Problem::new(reason::DIGEST_NOT_FOUND, "no such manifest"));
    let seen = |image: &Digest, there: Option<Result<(), Problem>>| {
        let mut seen = answered(index.clone());
        seen.images.remove(image);
        seen.images.extend(there.map(|there| (image.clone(), there)));
        Question::new(seen)
    };
    let lacks = seen(amd, Some(gone()));
    assert_eq!(lacks.decide().digest, None);
    let why = lacks.decide().unresolved.unwrap();
    assert_eq!((why.reason.as_str(), why.pending), (reason::DIGEST_NOT_FOUND, false));
    assert!(why.message.contains(amd.short()) && why.message.contains("push it again"), "{}", why.message);
    wants(&lacks.running(1).decide(), 1, Some(reason::DIGEST_NOT_FOUND));
    wants(&seen(amd, Some(gone())).running(2).decide(), 2, None);
    wants(&seen(arm, Some(gone())).running(1).decide(), 2, None);
    wants(
        &seen(arm, Some(gone())).running(1).nodes(&["linux/amd64", "linux/arm64"]).decide(),
        1,
        Some("DigestNotFound"),
    );
    let unasked = seen(amd, None);
    assert_eq!((unasked.decide().digest, unasked.decide().unresolved.unwrap().pending), (None, true));
    wants(&unasked.running(1).decide(), 1, Some("Comparing"));
    wants(&seen(amd, Some(Err(unreachable()))).running(1).decide(), 1, Some("RegistryUnreachable"));
    let word = Problem::new(reason::NOT_IN_MIRROR, "the mirror has no such manifest");
    let mirrored = seen(amd, Some(Err(word.clone()))).running(1);
    wants(&mirrored.decide(), 1, Some(reason::NOT_IN_MIRROR));
    assert_eq!(mirrored.decide().unresolved.unwrap().message, word.message, "nobody has asked the registry");
}

#[test]
fn a_pin_to_an_index_without_the_nodes_own_image_replaces_nothing_that_runs() {
    let pinned = |there: Option<Result<(), Problem>>| {
        let mut seen = answered(pushed(5));
        seen.images = there.map(|there| (pushed(5).platforms[0].1.clone(), there)).into_iter().collect();
        Question::new(seen).image(json!({"pin": digest(5)}))
    };
    let gone = || Some(Err(Problem::new(reason::DIGEST_NOT_FOUND, "gone")));
    wants(&pinned(gone()).running(1).decide(), 1, Some(reason::DIGEST_NOT_FOUND));
    wants(&pinned(None).running(1).decide(), 1, Some("Comparing"));
    wants(&pinned(Some(Ok(()))).running(1).decide(), 5, None);
    wants(&pinned(Some(Err(unreachable()))).running(1).decide(), 5, Some("RegistryUnreachable"));
    wants(&pinned(gone()).running(5).decide(), 5, None);
}

#[test]
fn what_runs_is_kept_until_it_has_been_compared() {
    let seen = Observation { details: std::collections::BTreeMap::new(), ..answered(pushed(2)) };
    let target = Question::new(seen).running(1).decide();
    wants(&target, 1, Some("Comparing"));
    assert!(target.unresolved.unwrap().pending);
}

#[test]
fn what_runs_is_kept_while_it_cannot_be_compared_and_the_problem_is_told() {
    for reason in
        [reason::REGISTRY_UNREACHABLE, reason::UNAUTHORIZED, reason::REGISTRY_RATE_LIMITED, reason::NOT_IN_MIRROR]
    {
        let mut seen = answered(pushed(2));
        seen.details.insert(digest(1), Err(Problem::new(reason, "no manifest for you")));
        let target = Question::new(seen).running(1).decide();
        wants(&target, 1, Some(reason));
        let why = target.unresolved.unwrap();
        assert_eq!((why.message.as_str(), why.pending), ("no manifest for you", false));
    }
}

#[test]
fn auto_update_off_keeps_what_runs() {
    let question = Question::new(answered(pushed(2))).image(json!({"autoUpdate": false})).running(1);
    wants(&question.decide(), 1, None);
}

#[test]
fn auto_update_off_takes_the_first_version_when_nothing_runs() {
    wants(&Question::new(answered(pushed(2))).image(json!({"autoUpdate": false})).decide(), 2, None);
}

#[test]
fn a_pin_wins_over_everything_even_with_the_registry_away() {
    let pin = json!({"pin": digest(5), "autoUpdate": false});
    let mut seen = answered(pushed(2));
    wants(&Question::new(seen.clone()).image(pin.clone()).running(1).decide(), 5, None);
    seen.problem = Some(unreachable());
    wants(&Question::new(seen).image(pin.clone()).running(1).decide(), 5, Some("RegistryUnreachable"));
    wants(&Question::new(down()).image(pin.clone()).decide(), 5, Some("RegistryUnreachable"));
    wants(&Question::new(down()).image(pin).running(1).decide(), 5, Some("RegistryUnreachable"));
}

#[test]
fn a_pin_that_is_new_here_waits_for_the_registrys_first_answer_good_or_bad() {
    let question = Question::new(silent()).image(json!({"pin": digest(5)}));
    let target = question.decide();
    assert_eq!((target.digest, target.unresolved.unwrap().pending), (None, true));
    wants(&question.running(1).decide(), 1, Some("Resolving"));
    let question = Question::new(silent()).image(json!({"pin": digest(5)}));
    wants(&question.running(5).decide(), 5, Some("Resolving"));
}

#[test]
fn a_pin_that_ran_before_replaces_what_runs_once_the_registry_has_answered_or_is_known_to_be_away() {
    let back = |seen: Observation| Question { stored: true, ..Question::new(seen).image(json!({"pin": digest(5)})) };
    let remembered = || Observation { unconfirmed: true, ..answered(pushed(5)) };
    for seen in [silent(), remembered()] {
        wants(&back(seen.clone()).decide(), 5, seen.latest.is_none().then_some("Resolving"));
        let waits = back(seen).running(1);
        wants(&waits.decide(), 1, Some("Resolving"));
        assert!(waits.decide().unresolved.unwrap().pending);
    }
    wants(&back(remembered()).running(5).decide(), 5, None);
    wants(&back(answered(pushed(5))).running(1).decide(), 5, None);
    for problem in [unreachable(), Problem::new(reason::PULL_SECRET_MISSING, "no such Secret")] {
        let away = Observation { problem: Some(problem.clone()), unconfirmed: false, ..remembered() };
        wants(&back(away).running(1).decide(), 5, Some(problem.reason));
    }
    let gone = Problem::new(reason::DIGEST_NOT_FOUND, "gone");
    let collected = Observation { problem: Some(gone), unconfirmed: false, ..remembered() };
    wants(&back(collected).running(1).decide(), 1, Some("DigestNotFound"));
}

#[test]
fn a_pin_that_is_known_to_be_missing_or_to_run_nowhere_never_replaces_what_runs() {
    let pinned = |seen: Observation| Question::new(seen).image(json!({"pin": digest(5)}));
    let problem = |reason| Observation { problem: Some(Problem::new(reason, "so it is")), ..silent() };
    for reason in [reason::DIGEST_NOT_FOUND, reason::NOT_IN_MIRROR, reason::NOT_AN_IMAGE] {
        let question = pinned(problem(reason));
        wants(&question.decide(), 5, Some(reason));
        let question = question.running(1);
        wants(&question.decide(), 1, Some(reason));
        let why = question.decide().unresolved.unwrap();
        assert_eq!((why.message.as_str(), why.pending), ("so it is; what runs stays", false));
        wants(&pinned(problem(reason)).running(5).decide(), 5, Some(reason));
        let elsewhere = Question { elsewhere: true, ..pinned(problem(reason)) };
        assert_eq!(elsewhere.decide().digest, None, "what runs is of another repository");
    }
    let foreign = pinned(answered(built_for(5, &["linux/arm64"]))).running(1);
    wants(&foreign.decide(), 1, Some("NoMatchingPlatform"));
    wants(&foreign.nodes(&["linux/amd64", "linux/arm64"]).decide(), 5, None);
    for reason in [reason::REGISTRY_UNREACHABLE, reason::UNAUTHORIZED, reason::REGISTRY_RATE_LIMITED] {
        wants(&pinned(problem(reason)).running(1).decide(), 5, Some(reason));
    }
}

#[test]
fn another_repository_keeps_nothing_and_invents_nothing_until_it_is_resolved() {
    // What ran came from another repository: nothing of this one runs.
    let other = json!({"repository": "ghcr.io/vintner/other"});
    assert_eq!(Question::new(down()).image(other.clone()).decide().digest, None);
    wants(&Question::new(answered(pushed(3))).image(other).decide(), 3, None);
}

#[test]
fn an_image_for_no_node_is_named_with_the_remedy_and_what_runs_stays() {
    let seen = answered(built_for(2, &["linux/amd64", "windows/amd64"]));
    let question = Question::new(seen).nodes(&["linux/arm64"]);
    let why = question.decide().unresolved.unwrap();
    assert_eq!((question.decide().digest, why.reason.as_str(), why.pending), (None, "NoMatchingPlatform", false));
    for part in ["linux/amd64, windows/amd64 only", "nodes are linux/arm64", "docker buildx build --platform"] {
        assert!(why.message.contains(part), "no '{part}' in: {}", why.message);
    }
    wants(&question.running(1).decide(), 1, Some("NoMatchingPlatform"));
}

#[test]
fn that_the_nodes_of_what_runs_are_drained_refuses_no_push() {
    let runs = Question::new(answered(built_for(1, &["linux/amd64"]))).running(1);
    wants(&runs.nodes(&["linux/arm64"]).decide(), 1, None);
    let pinned = Question::new(answered(pushed(5))).image(json!({"pin": digest(5)})).running(5);
    wants(&pinned.nodes(&["linux/arm64"]).decide(), 5, Some("NoMatchingPlatform"));
}

#[test]
fn a_registry_that_fails_keeps_what_runs() {
    wants(&Question::new(down()).running(1).decide(), 1, Some("RegistryUnreachable"));
    wants(&Question::new(silent()).running(1).decide(), 1, Some("Resolving"));
    let seen = Observation { problem: Some(unreachable()), ..answered(pushed(1)) };
    wants(&Question::new(seen).running(1).decide(), 1, Some("RegistryUnreachable"));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn problem() -> impl Strategy<Value = Problem> {
        use reason::*;
        let reasons = [
            REGISTRY_UNREACHABLE,
            REGISTRY_RATE_LIMITED,
            REGISTRY_ERROR,
            BAD_ANSWER,
            UNAUTHORIZED,
            TAG_NOT_FOUND,
            NOT_AN_IMAGE,
            DIGEST_NOT_FOUND,
            PULL_SECRET_MISSING,
        ];
        prop::sample::select(reasons.to_vec()).prop_map(|reason| Problem::new(reason, "told"))
    }

    proptest! {
        /// Missing data never changes what runs, and nothing runs but what was complete, running, or pinned.
        #[test]
        fn nothing_is_wanted_that_nobody_named(
            running in prop::option::of(0u8..4),
            latest in prop::option::of(0u8..4),
            pin in prop::option::of(0u8..4),
            problem in prop::option::of(problem()),
            compared in prop::option::of(prop::result::maybe_err(Just(()), problem())),
            auto_update: bool,
            arm: bool,
        ) {
            let mut fields = json!({"autoUpdate": auto_update});
            if let Some(pin) = pin {
                fields["pin"] = json!(digest(pin));
            }
            let images = latest.map(|latest| answered(pushed(latest)).images).unwrap_or_default();
            let mut seen =
                Observation { latest: latest.map(pushed), images, problem: problem.clone(), ..Observation::default() };
            if let (Some(running), Some(compared)) = (running, compared.clone()) {
                seen.details.insert(digest(running), compared.map(|()| pushed(running)));
            }
            let answered = seen.latest.is_some() || seen.problem.is_some();
            let mut question = Question::new(seen).image(fields);
            question.running = running.map(digest);
            if arm {
                question = question.nodes(&["linux/arm64"]);
            }
            let target = question.decide();
            let moved = target.digest != running.map(digest);
            let missing = problem.as_ref().map_or(latest.is_some() && arm, |problem| {
                [reason::NOT_AN_IMAGE, reason::DIGEST_NOT_FOUND].contains(&problem.reason)
            });
            match pin {
                Some(_) if missing && running.is_some() => prop_assert!(!moved),
                Some(pin) if answered => prop_assert_eq!(target.digest, Some(digest(pin))),
                Some(_) => prop_assert!(!moved),
                None if moved => {
                    prop_assert_eq!(target.digest, latest.map(digest));
                    prop_assert!(latest.is_some() && !arm);
                    let differs = match &compared {
                        Some(Ok(())) => true,
                        // What runs was collected: the tag holds something else.
                        Some(Err(problem)) => problem.reason == reason::DIGEST_NOT_FOUND,
                        None => false,
                    };
                    prop_assert!(running.is_none() || (auto_update && differs));
                }
                None => {}
            }
            if let Some(problem) = problem {
                prop_assert_eq!(target.unresolved.map(|why| why.reason), Some(problem.reason.to_owned()));
            }
        }
    }
}
