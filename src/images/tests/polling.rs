//! Who is asked when, and who is told what.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_poll_is_immediate_and_tells_the_owner_once() {
    let mut rig = rig();
    assert_eq!(rig.look("churn"), Observation::default());
    assert_eq!(rig.told().await, ["churn"]);
    let seen = rig.look("churn");
    assert_eq!(seen.latest, Some(image(&digest(1))));
    assert_eq!(seen.problem, None);
    rig.pass(secs(600)).await;
    assert_eq!(rig.told().await, [""; 0], "nothing changed");
    assert_eq!(rig.registry.gets(), 1, "a single GET for all that time");
}

#[tokio::test(start_paused = true)]
async fn however_many_follow_it_a_reference_is_asked_once_per_interval() {
    let mut rig = rig();
    let names: Vec<String> = (0..100).map(|n| format!("model-{n:03}")).collect();
    names.iter().for_each(|name| assert_eq!(rig.look(name), Observation::default()));
    assert_eq!(rig.told().await, names);
    rig.pass(secs(600)).await;
    assert_eq!(rig.registry.heads(":latest").len(), 11);
    assert_eq!((rig.registry.gets(), rig.secrets.reads()), (1, 1));
    rig.registry.push("latest", &digest(2));
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, names);
    assert_eq!(rig.registry.gets(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_most_impatient_owner_decides_and_only_while_it_is_there() {
    let rig = rig();
    let every = |name: &str, interval| rig.images.follow(&owner(name), Follow { interval: secs(interval), ..latest() });
    every("calm", 300);
    rig.settle().await;
    every("hasty", 10);
    rig.pass(secs(100)).await;
    let hasty = rig.registry.heads(":latest").len();
    assert!((10..=12).contains(&hasty), "{hasty}");
    rig.images.forget(&owner("hasty"));
    rig.pass(secs(600)).await;
    let calm = rig.registry.heads(":latest").len() - hasty;
    assert!((2..=3).contains(&calm), "{calm}");
}

#[tokio::test(start_paused = true)]
async fn polls_are_spread_around_their_interval() {
    let rig = rig_with(Config::default());
    rig.look("churn");
    rig.pass(secs(3600)).await;
    let heads = rig.registry.heads(":latest");
    let waits: Vec<f64> = heads.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!((30.0..=61.0).contains(&waits[0]), "{waits:?}");
    assert!(waits[1..].iter().all(|wait| (53.9..=66.1).contains(wait)), "{waits:?}");
    assert!(waits[1..].iter().any(|wait| (wait - 60.0).abs() > 0.1), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn few_remaining_pulls_stretch_the_interval() {
    let rig = rig();
    rig.registry.pace.store(4, Ordering::SeqCst);
    rig.look("churn");
    rig.pass(secs(479)).await;
    assert_eq!(rig.registry.heads(":latest").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_goes_away_is_a_problem_beside_what_is_known_and_is_told_once() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    let before = rig.look("churn");
    rig.registry.fail(down());
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    let during = rig.look("churn");
    assert_eq!(during.latest, before.latest, "missing data changes nothing");
    assert_eq!(during.problem.unwrap().reason, reason::REGISTRY_UNREACHABLE);
    rig.pass(secs(3600)).await;
    assert_eq!(rig.told().await, [""; 0], "the same failure again is no news");
    rig.registry.fail(None);
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.look("churn"), before);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_ever_more_slowly_up_to_a_bound() {
    let rig = rig();
    rig.registry.fail(down());
    rig.look("churn");
    rig.pass(secs(400)).await;
    let heads = rig.registry.heads(":latest");
    let waits: Vec<u64> = heads.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(waits, [5, 10, 20, 40, 60, 60, 60, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_registry_allows_it() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    let limited = failure(reason::REGISTRY_RATE_LIMITED, FailureKind::Unknown);
    rig.registry.fail(Failure { retry_after: Some(secs(3600)), ..limited });
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert!(rig.look("churn").latest.is_some());
    let before = rig.registry.heads(":latest").len();
    rig.registry.fail(None);
    rig.pass(secs(3590)).await;
    assert_eq!(rig.registry.heads(":latest").len(), before);
    rig.pass(secs(20)).await;
    assert_eq!(rig.look("churn").problem, None);
}

#[tokio::test(start_paused = true)]
async fn a_new_digest_counts_only_once_its_details_are_known() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    rig.look("churn");
    *lock(&rig.registry.details_failing) = Some(failure(reason::BAD_ANSWER, FailureKind::Unknown));
    rig.registry.push("latest", &digest(2));
    rig.pass(secs(70)).await;
    assert_eq!(rig.told().await, ["churn"]);
    let half = rig.look("churn");
    assert_eq!(half.latest, Some(image(&digest(1))), "half an answer never changes what runs");
    assert_eq!(half.problem.unwrap().reason, reason::BAD_ANSWER);
    *lock(&rig.registry.details_failing) = None;
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.look("churn").latest, Some(image(&digest(2))));
}

#[tokio::test(start_paused = true)]
async fn forgotten_owners_are_polled_for_no_more_and_told_nothing() {
    let mut rig = rig();
    rig.look("churn");
    rig.look("fraud");
    rig.told().await;
    rig.registry.push("latest", &digest(2));
    rig.images.retain(&HashSet::from([owner("fraud")]));
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["fraud"]);
    rig.images.forget(&owner("fraud"));
    rig.images.forget(&owner("fraud"));
    let before = rig.registry.heads("").len();
    rig.pass(secs(3600)).await;
    assert_eq!(rig.registry.heads("").len(), before);
    assert_eq!(rig.images.poller.references.get(), 0);
    assert!(rig.look("churn").latest.is_none(), "and what was known of it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_its_owner_left_is_dropped() {
    let mut rig = rig();
    let registry = rig.registry.clone();
    let gate = registry.gate.lock().await;
    rig.look("churn");
    rig.settle().await;
    rig.images.forget(&owner("churn"));
    drop(gate);
    assert_eq!(rig.told().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_makes_the_next_poll_come_soon_but_not_as_often_as_it_likes() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    rig.look("churn");
    rig.pass(secs(20)).await;
    rig.registry.push("latest", &digest(2));
    rig.images.hint(&Repository::parse("bob/other").unwrap());
    assert_eq!(rig.told().await, [""; 0]);
    rig.images.hint(&latest().repository);
    assert_eq!(rig.told().await, ["churn"]);
    let before = rig.registry.heads(":latest").len();
    for _ in 0..200 {
        rig.images.hint(&latest().repository);
        rig.pass(Duration::from_millis(100)).await;
    }
    let polls = rig.registry.heads(":latest").len() - before;
    assert!(polls <= 4, "{polls} in 20 s");
}

#[tokio::test(start_paused = true)]
async fn a_pin_is_fetched_once_and_looked_for_daily() {
    let mut rig = rig();
    let pin = Follow { want: Want::Digest(digest(5)), ..latest() };
    rig.images.follow(&owner("churn"), pin.clone());
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.images.follow(&owner("churn"), pin.clone()).latest, Some(image(&digest(5))));
    rig.pass(secs(86_400 * 3 + 60)).await;
    assert_eq!((rig.registry.gets(), rig.registry.heads("").len()), (1, 3));
    lock(&rig.registry.gone).insert(digest(5));
    rig.pass(secs(86_400)).await;
    assert_eq!(rig.told().await, ["churn"]);
    let seen = rig.images.follow(&owner("churn"), pin);
    assert_eq!(seen.latest, Some(image(&digest(5))), "what it holds stays known");
    assert!(seen.problem.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_running_digest_costs_nothing_while_the_tag_points_to_it_and_is_missed_when_it_goes() {
    let mut rig = rig();
    let serving = Follow { details_of: BTreeSet::from([digest(1)]), serving: Some(digest(1)), ..latest() };
    let look = |rig: &Rig| rig.images.follow(&owner("churn"), serving.clone());
    assert_eq!(look(&rig), Observation::default());
    rig.told().await;
    let seen = look(&rig);
    assert_eq!(seen.pullable, Some(true));
    assert_eq!(seen.details, BTreeMap::from([(digest(1), Ok(image(&digest(1))))]));
    assert_eq!(rig.registry.gets(), 1, "the tag and the digest share one GET");
    rig.pass(secs(86_400 * 2)).await;
    assert_eq!(rig.registry.heads("@sha256:").len() + rig.registry.heads(digest(1).as_str()).len(), 0);
    rig.registry.push("latest", &digest(2));
    lock(&rig.registry.gone).insert(digest(1));
    rig.pass(secs(86_400 + 60)).await;
    let seen = look(&rig);
    assert_eq!(seen.latest, Some(image(&digest(2))));
    assert_eq!(seen.pullable, Some(false));
    assert_eq!(seen.details[&digest(1)], Ok(image(&digest(1))), "for a comparison it is still good");
    rig.registry.fail(down());
    rig.pass(secs(86_400)).await;
    assert_eq!(look(&rig).pullable, Some(false), "no answer is no news");
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_needs_no_second_get_however_little_is_remembered() {
    let mut rig = rig_with(Config { jitter: 0.0, remembered_details: 1, ..Config::default() });
    rig.registry.push("stable", &digest(2));
    rig.look("churn");
    rig.images.follow(&owner("fraud"), Follow { want: Want::Tag(Tag::parse("stable").unwrap()), ..latest() });
    rig.told().await;
    rig.pass(secs(600)).await;
    assert_eq!(rig.registry.gets(), 2);
}

#[tokio::test(start_paused = true)]
async fn details_that_cannot_be_had_are_a_problem_of_their_own() {
    let mut rig = rig();
    lock(&rig.registry.gone).insert(digest(9));
    let follow = Follow { details_of: BTreeSet::from([digest(9)]), ..latest() };
    rig.images.follow(&owner("churn"), follow.clone());
    rig.told().await;
    let seen = rig.images.follow(&owner("churn"), follow);
    assert_eq!(seen.problem, None);
    assert_eq!(seen.latest, Some(image(&digest(1))));
    assert_eq!(seen.details[&digest(9)].as_ref().unwrap_err().reason, reason::DIGEST_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn what_changes_back_before_anybody_looks_is_no_news() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    rig.look("churn");
    rig.registry.fail(down());
    rig.pass(secs(61)).await;
    rig.registry.fail(None);
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_looked_by_itself_is_not_told_what_it_knows() {
    let mut rig = rig();
    rig.look("churn");
    rig.settle().await;
    assert!(rig.look("churn").latest.is_some());
    assert_eq!(rig.told().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_waits_in_line_only_once_and_the_stream_wakes_its_reader() {
    let mut rig = rig();
    rig.look("churn");
    rig.pass(secs(1)).await;
    for n in 2..50 {
        rig.registry.push("latest", &digest(n));
        rig.pass(secs(60)).await;
    }
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.look("churn").latest, Some(image(&digest(49))));
    rig.registry.push("latest", &digest(99));
    let next = tokio::time::timeout(secs(61), rig.changed.next()).await.unwrap();
    assert_eq!(next, Some(owner("churn")));
}

#[tokio::test(start_paused = true)]
async fn all_ends_with_the_last_handle() {
    let Rig { images, mut changed, registry, .. } = rig();
    images.follow(&owner("churn"), latest());
    let clone = images.clone();
    drop(images);
    assert_eq!(changed.next().await, Some(owner("churn")));
    drop(clone);
    assert_eq!(changed.next().await, None);
    let before = registry.heads("").len();
    tokio::time::sleep(secs(3600)).await;
    assert_eq!(registry.heads("").len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_breaks_inside_is_a_problem_and_is_tried_again() {
    struct Breaks(AtomicUsize);
    #[async_trait]
    impl CredentialSource for Breaks {
        async fn keychain(&self, _: &CredentialRef) -> Result<Keychain, CredentialError> {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "broken on purpose");
            Ok(Keychain::empty())
        }
    }
    let registry = Arc::new(Memory::default());
    registry.push("latest", &digest(1));
    let source = Arc::new(Breaks(AtomicUsize::new(0)));
    let config = Config { jitter: 0.0, ..Config::default() };
    let (images, mut changed) = Images::start(&config, registry, source, &prometheus::Registry::new()).unwrap();
    images.follow(&owner("churn"), latest());
    changed.next().await;
    let problem = images.follow(&owner("churn"), latest()).problem.unwrap();
    assert!(problem.message.contains("failed inside the operator"), "{problem:?}");
    changed.next().await;
    assert_eq!(images.follow(&owner("churn"), latest()).latest, Some(image(&digest(1))));
}

fn in_namespace(namespace: &str) -> Follow {
    Follow { credentials: CredentialRef { namespace: namespace.to_owned(), ..credentials("default") }, ..latest() }
}

#[tokio::test(start_paused = true)]
async fn a_public_image_costs_one_head_for_all_namespaces() {
    let mut rig = rig();
    let names: Vec<String> = (0..50).map(|number| format!("model-{number:02}")).collect();
    for name in &names {
        rig.images.follow(&owner(name), in_namespace(name));
    }
    assert_eq!(rig.told().await, names);
    assert_eq!((rig.registry.heads(":latest").len(), rig.registry.gets()), (1, 1));
    rig.pass(secs(600)).await;
    assert_eq!(rig.registry.heads(":latest").len(), 11);
    rig.registry.push("latest", &digest(2));
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await.len(), 50, "all are told of a push");
    assert_eq!((rig.registry.heads(":latest").len(), rig.registry.gets()), (12, 2));
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_came_at_different_times_ask_once_per_interval_together() {
    let mut rig = rig_with(Config::default());
    for number in 0..20 {
        rig.images.follow(&owner(&format!("model-{number}")), in_namespace(&format!("team-{number}")));
        rig.pass(secs(3)).await;
    }
    rig.pass(secs(60)).await;
    let before = rig.registry.heads(":latest").len();
    rig.pass(secs(1200)).await;
    let heads = rig.registry.heads(":latest").len() - before;
    assert!((18..=24).contains(&heads), "{heads} in twenty minutes");
    for number in 0..19 {
        rig.images.forget(&owner(&format!("model-{number}")));
    }
    rig.told().await;
    rig.registry.push("latest", &digest(2));
    rig.pass(secs(70)).await;
    assert_eq!(rig.told().await, ["model-19"], "whoever is left asks on");
}

#[tokio::test(start_paused = true)]
async fn one_who_knows_what_a_digest_holds_and_one_who_need_not_know_do_not_ask_in_turns() {
    let mut rig = rig();
    let child = digest(7);
    let pins = Follow { want: Want::Digest(child.clone()), ..in_namespace("pins") };
    let serves = Follow {
        serving: Some(digest(1)),
        serving_images: BTreeSet::from([child.clone()]),
        stored: vec![Arc::new(image(&digest(1)))],
        ..in_namespace("serves")
    };
    rig.images.follow(&owner("pins"), pins.clone());
    rig.images.follow(&owner("serves"), serves.clone());
    assert_eq!(rig.told().await, ["pins", "serves"]);
    assert_eq!(rig.images.follow(&owner("pins"), pins).latest, Some(image(&child)));
    assert_eq!(rig.images.follow(&owner("serves"), serves).pullable, Some(true));
    rig.pass(secs(60 * 60)).await;
    let heads = rig.registry.heads(child.as_str()).len();
    assert!(heads <= 2, "{heads} in an hour");
    rig.pass(secs(3 * 86_400)).await;
    let heads = rig.registry.heads(child.as_str()).len() - heads;
    assert!((3..=4).contains(&heads), "{heads} in three days");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_asks_alone_and_takes_nothing_from_those_who_are_let_in() {
    let mut rig = rig();
    *lock(&rig.registry.password) = Some("right".to_owned());
    let keyholder = Follow { credentials: credentials("robot"), ..latest() };
    rig.secrets.say("robot", Ok(with_password("right")));
    rig.images.follow(&owner("let-in"), keyholder.clone());
    rig.images.follow(&owner("stranger"), in_namespace("away"));
    rig.images.follow(&owner("another"), in_namespace("farther-away"));
    assert_eq!(rig.told().await, ["another", "let-in", "stranger"]);
    assert_eq!(rig.images.follow(&owner("let-in"), keyholder).latest, Some(image(&digest(1))));
    for (name, namespace) in [("stranger", "away"), ("another", "farther-away")] {
        let seen = rig.images.follow(&owner(name), in_namespace(namespace));
        assert_eq!((seen.latest, seen.problem.unwrap().reason), (None, reason::UNAUTHORIZED), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_does_not_answer_is_waited_for_once_by_all_namespaces() {
    let mut rig = rig();
    rig.registry.fail(down());
    for number in 0..10 {
        rig.images.follow(&owner(&format!("model-{number}")), in_namespace(&format!("team-{number}")));
    }
    assert_eq!(rig.told().await.len(), 10);
    assert_eq!(rig.registry.heads(":latest").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_of_a_version_is_not_fetched_again_after_a_restart() {
    let mut rig = rig();
    let stored = image(&digest(1));
    let running = Follow {
        details_of: BTreeSet::from([digest(1)]),
        serving: Some(digest(1)),
        stored: vec![Arc::new(stored.clone())],
        ..latest()
    };
    rig.images.follow(&owner("churn"), running.clone());
    assert_eq!(rig.told().await, ["churn"]);
    let seen = rig.images.follow(&owner("churn"), running.clone());
    assert_eq!((seen.latest, seen.details[&digest(1)].clone()), (Some(stored.clone()), Ok(stored)));
    assert_eq!(seen.pullable, Some(true), "whether it is there is asked");
    assert_eq!(rig.registry.gets(), 0, "a GET of a manifest is a pull");
    rig.registry.push("latest", &digest(2));
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.images.follow(&owner("churn"), running).latest, Some(image(&digest(2))));
    assert_eq!(rig.registry.gets(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pin_whose_content_is_stored_is_unconfirmed_until_the_registry_has_answered() {
    for gone in [false, true] {
        let mut rig = rig();
        let stored = vec![Arc::new(image(&digest(5)))];
        let pin = Follow { want: Want::Digest(digest(5)), stored, ..latest() };
        if gone {
            lock(&rig.registry.gone).insert(digest(5));
        }
        let seen = rig.images.follow(&owner("churn"), pin.clone());
        assert_eq!((seen.latest, seen.unconfirmed), (Some(image(&digest(5))), true));
        assert_eq!(rig.told().await, ["churn"]);
        let seen = rig.images.follow(&owner("churn"), pin);
        assert_eq!((seen.unconfirmed, seen.problem.is_some()), (false, gone));
        assert_eq!(rig.registry.gets(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_in_one_namespace_is_not_told_in_another() {
    let mut rig = rig();
    let forged = ImageDetails { platforms: Vec::new(), ..image(&digest(1)) };
    let forger = Follow { details_of: BTreeSet::from([digest(1)]), stored: vec![Arc::new(forged)], ..latest() };
    rig.images.follow(&owner("forger"), forger);
    rig.told().await;
    rig.images.follow(&owner("churn"), in_namespace("elsewhere"));
    rig.told().await;
    assert_eq!(rig.images.follow(&owner("churn"), in_namespace("elsewhere")).latest, Some(image(&digest(1))));
}

#[tokio::test(start_paused = true)]
async fn only_a_registrys_own_word_makes_a_digest_gone() {
    for (kind, expected) in [(FailureKind::Absent, Some(false)), (FailureKind::NotInMirror, None)] {
        let mut rig = rig();
        rig.registry.fail(failure(reason::DIGEST_NOT_FOUND, kind));
        let serving = Follow { serving: Some(digest(1)), ..latest() };
        rig.images.follow(&owner("churn"), serving.clone());
        rig.told().await;
        assert_eq!(rig.images.follow(&owner("churn"), serving).pullable, expected, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_can_be_pulled_only_while_all_that_nodes_need_of_it_is_there() {
    let mut rig = rig();
    let serving = Follow {
        serving: Some(digest(1)),
        serving_images: BTreeSet::from([digest(11), digest(12)]),
        stored: vec![Arc::new(image(&digest(1)))],
        ..latest()
    };
    rig.images.follow(&owner("churn"), serving.clone());
    rig.told().await;
    assert_eq!(rig.images.follow(&owner("churn"), serving.clone()).pullable, Some(true));
    lock(&rig.registry.gone).insert(digest(12));
    rig.pass(secs(25 * 60 * 60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.images.follow(&owner("churn"), serving).pullable, Some(false));
    assert_eq!(rig.registry.gets(), 0, "that they are there is asked by HEAD");
}

#[tokio::test(start_paused = true)]
async fn the_images_of_a_version_to_come_are_looked_for_once_by_a_head() {
    let mut rig = rig();
    let (there, gone) = (digest(11), digest(12));
    lock(&rig.registry.gone).insert(gone.clone());
    let introducing = Follow { introducing: BTreeSet::from([there.clone(), gone.clone()]), ..latest() };
    assert_eq!(rig.images.follow(&owner("churn"), introducing.clone()).images, BTreeMap::new());
    rig.told().await;
    let seen = rig.images.follow(&owner("churn"), introducing.clone());
    assert_eq!(rig.images.latest(&owner("churn")).as_deref(), seen.latest.as_ref());
    assert_eq!(seen.images[&there], Ok(()));
    assert!(seen.images[&gone].is_err(), "{seen:?}");
    // Pushed again, it is found as soon as a tag would be.
    rig.pass(secs(3 * 60 * 60)).await;
    lock(&rig.registry.gone).remove(&gone);
    rig.pass(secs(61)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.images.follow(&owner("churn"), introducing).images[&gone], Ok(()));
    // It runs now, and is looked for once a day.
    let serving = Follow { serving: Some(digest(1)), serving_images: BTreeSet::from([there.clone()]), ..latest() };
    assert_eq!(rig.images.follow(&owner("churn"), serving).pullable, Some(true));
    rig.pass(secs(60 * 60)).await;
    assert_eq!((rig.registry.heads(there.as_str()).len(), rig.registry.gets()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_looked_for_in_vain_is_asked_for_soon_once_a_version_waits_for_it_but_not_before_it_is_allowed() {
    let mut rig = rig();
    let serving = Follow {
        serving: Some(digest(1)),
        serving_images: BTreeSet::from([digest(12)]),
        stored: vec![Arc::new(image(&digest(1)))],
        ..latest()
    };
    let introducing = Follow { introducing: BTreeSet::from([digest(12)]), ..serving.clone() };
    lock(&rig.registry.gone).insert(digest(12));
    rig.images.follow(&owner("churn"), serving.clone());
    rig.pass(secs(3 * 60 * 60)).await;
    lock(&rig.registry.gone).remove(&digest(12));
    assert!(rig.images.follow(&owner("churn"), introducing.clone()).images[&digest(12)].is_err());
    rig.told().await;
    rig.pass(secs(60)).await;
    assert_eq!(rig.images.follow(&owner("churn"), introducing.clone()).images[&digest(12)], Ok(()));

    let rig = self::rig();
    let limited = failure(reason::REGISTRY_RATE_LIMITED, FailureKind::Unknown);
    rig.registry.fail(Failure { retry_after: Some(secs(3600)), ..limited });
    rig.images.follow(&owner("churn"), serving);
    rig.settle().await;
    rig.registry.fail(None);
    rig.images.follow(&owner("churn"), introducing);
    rig.pass(secs(3590)).await;
    assert_eq!(rig.registry.heads(digest(12).as_str()).len(), 1);
    rig.pass(secs(20)).await;
    assert_eq!(rig.registry.heads(digest(12).as_str()).len(), 2);
}
