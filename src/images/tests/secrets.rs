//! When pull secrets are read, and what a refusal leads to.

use super::*;

#[tokio::test(start_paused = true)]
async fn another_tag_or_another_secret_never_shows_the_answer_of_the_first() {
    let mut rig = rig();
    rig.registry.push("stable", &digest(7));
    rig.look("churn");
    rig.told().await;
    let stable = Follow { want: Want::Tag(Tag::parse("stable").unwrap()), ..latest() };
    assert_eq!(rig.images.follow(&owner("churn"), stable.clone()), Observation::default());
    rig.told().await;
    assert_eq!(rig.images.follow(&owner("churn"), stable.clone()).latest, Some(image(&digest(7))));
    let other = Follow { credentials: credentials("robot"), ..stable };
    assert_eq!(rig.images.follow(&owner("churn"), other.clone()), Observation::default());
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.images.follow(&owner("churn"), other).latest, Some(image(&digest(7))));
    assert_eq!(rig.registry.gets(), 2, "what the other secret may see was shown by a HEAD, not by another GET");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_fetched_is_shown_only_to_who_may_see_it() {
    let mut rig = rig();
    rig.images.follow(&owner("churn"), Follow { want: Want::Digest(digest(1)), ..latest() });
    rig.told().await;
    *lock(&rig.registry.password) = Some("right".to_owned());
    let stranger = Follow { want: Want::Digest(digest(1)), credentials: credentials("stranger"), ..latest() };
    rig.images.follow(&owner("spy"), stranger.clone());
    assert_eq!(rig.told().await, ["spy"]);
    let seen = rig.images.follow(&owner("spy"), stranger);
    assert_eq!((seen.latest, seen.problem.unwrap().reason), (None, reason::UNAUTHORIZED));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_the_secrets_read_again_once_and_the_new_ones_used_at_once() {
    let mut rig = rig();
    rig.secrets.say("default", Ok(with_password("old")));
    *lock(&rig.registry.password) = Some("old".to_owned());
    rig.look("churn");
    rig.told().await;
    rig.look("churn");
    rig.pass(secs(3600)).await;
    assert_eq!(rig.secrets.reads(), 1, "at rest Secrets are not read");
    *lock(&rig.registry.password) = Some("new".to_owned());
    rig.secrets.say("default", Ok(with_password("new")));
    rig.pass(secs(120)).await;
    assert_eq!(rig.secrets.reads(), 2);
    assert_eq!(rig.told().await, [""; 0], "the owner never notices");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_lasts_reads_the_secrets_once_per_poll_however_many_ask() {
    let mut rig = rig();
    rig.secrets.say("default", Ok(with_password("wrong")));
    *lock(&rig.registry.password) = Some("right".to_owned());
    for tag in 0..20 {
        let want = Want::Tag(Tag::parse(&format!("v{tag}")).unwrap());
        rig.images.follow(&owner(&format!("model-{tag}")), Follow { want, ..latest() });
    }
    assert_eq!(rig.told().await.len(), 20);
    assert_eq!(rig.secrets.reads(), 1, "they were read for this very question");
    rig.pass(secs(300)).await;
    assert!(rig.secrets.reads() <= 10, "{}", rig.secrets.reads());
    assert_eq!(rig.told().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_a_problem_until_it_is_there() {
    let mut rig = rig();
    rig.secrets.say("default", Err(CredentialError::NotFound { secret: "hub-login".to_owned() }));
    rig.look("churn");
    assert_eq!(rig.told().await, ["churn"]);
    let problem = rig.look("churn").problem.unwrap();
    assert_eq!(problem.reason, reason::PULL_SECRET_MISSING);
    assert!(problem.message.contains("kubectl create secret docker-registry hub-login"), "{problem:?}");
    assert_eq!(rig.registry.heads("").len(), 0);
    rig.secrets.say("default", Ok(with_password("pw")));
    rig.pass(secs(60)).await;
    assert_eq!(rig.told().await, ["churn"]);
    assert_eq!(rig.look("churn").problem, None);
}

#[tokio::test(start_paused = true)]
async fn secrets_that_cannot_be_read_for_now_do_not_hide_the_refusal() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    *lock(&rig.registry.password) = Some("pw".to_owned());
    rig.secrets.say("default", Err(CredentialError::Unavailable { why: "timeout".to_owned() }));
    rig.pass(secs(60)).await;
    assert_eq!(rig.look("churn").problem.unwrap().reason, reason::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_reads_the_secrets_and_polls_at_once() {
    let mut rig = rig();
    rig.look("churn");
    rig.told().await;
    rig.pass(secs(30)).await;
    let (heads, reads) = (rig.registry.heads(":latest").len(), rig.secrets.reads());
    let renewed = Follow { generation: 2, ..latest() };
    let seen = rig.images.follow(&owner("churn"), renewed.clone());
    assert_eq!(seen.latest, Some(image(&digest(1))), "the same reference: what is known of it stays");
    rig.settle().await;
    assert_eq!((rig.registry.heads(":latest").len(), rig.secrets.reads()), (heads + 1, reads + 1));
    for _ in 0..3 {
        rig.images.follow(&owner("churn"), renewed.clone());
    }
    rig.settle().await;
    assert_eq!(rig.registry.heads(":latest").len(), heads + 1, "saying it again changes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_changes_during_a_poll_is_polled_for_again() {
    let rig = rig();
    let gate = rig.registry.gate.lock().await;
    rig.look("churn");
    rig.settle().await;
    rig.images.follow(&owner("churn"), Follow { generation: 2, ..latest() });
    drop(gate);
    rig.settle().await;
    assert_eq!(rig.registry.heads(":latest").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kubernetes_api_that_never_answers_is_not_waited_for() {
    struct Hangs;
    #[async_trait]
    impl CredentialSource for Hangs {
        async fn keychain(&self, _: &CredentialRef) -> Result<Keychain, CredentialError> {
            std::future::pending().await
        }
    }
    let registry = Arc::new(Memory::default());
    let metrics = prometheus::Registry::new();
    let (images, mut changed) = Images::start(&Config::default(), registry, Arc::new(Hangs), &metrics).unwrap();
    images.follow(&owner("churn"), latest());
    changed.next().await;
    let problem = images.follow(&owner("churn"), latest()).problem.unwrap();
    assert_eq!(problem.reason, reason::PULL_SECRET_UNAVAILABLE);
}
