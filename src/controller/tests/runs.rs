use super::*;
use crate::mlflow::problem::reason::UNREACHABLE;

fn owner() -> Owner {
    Owner { namespace: "tasting-room".into(), name: "grape".into(), uid: "u1".into() }
}

fn by_alias() -> Which {
    Which::Alias { model: "wine".into(), alias: "champion".into() }
}

fn question(digest: &str, which: Which) -> Question {
    let asked = Asked { which, expected: None, taken: BTreeSet::new(), known: None };
    Question {
        uri: TrackingUri::parse("http://mlflow:5000").unwrap(),
        secret: None,
        generation: 1,
        versions: [(digest.to_owned(), asked)].into(),
    }
}

fn run(id: &str) -> Run {
    Run { id: id.into(), version: None, metrics: BTreeMap::new(), left_out: Vec::new() }
}

fn known() -> Outcome {
    Outcome { answer: Ok(run("r1")), login: Some(Login::Nobody) }
}

fn problem(reason: &'static str) -> Outcome {
    Outcome { answer: Err(Problem::new(reason, "…")), login: Some(Login::Nobody) }
}

/// Asks what is due, which is one thing.
fn due(book: &mut Book, now: Instant) -> Job {
    let mut jobs = book.take_due(now, Runs::AT_ONCE);
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

#[test]
fn what_is_known_is_never_asked_again() {
    let (mut book, now) = (Book::default(), Instant::now());
    assert_eq!(book.follow(&owner(), Some(question("a", by_alias())), now), (Heard::new(), true));
    let job = due(&mut book, now);
    assert_eq!(book.next_due(), None, "it is being asked");
    assert_eq!(book.finish(&job, known(), now), Some(("tasting-room".into(), "grape".into())));
    assert!(book.entries["u1"].login.is_none(), "no password is kept for nothing");
    let heard: Heard = [("a".to_owned(), Ok(run("r1")))].into();
    for which in [by_alias(), Which::Run("r1".into())] {
        assert_eq!(book.follow(&owner(), Some(question("a", which)), now), (heard.clone(), false));
    }
    let mut newer = question("a", Which::Run("r1".into()));
    newer.generation = 2;
    assert_eq!(book.follow(&owner(), Some(newer), now), (heard, false));
    assert_eq!(book.next_due(), None);
    assert_eq!(book.follow(&owner(), Some(question("a", Which::Run("r2".into()))), now), (Heard::new(), true));
}

#[test]
fn what_status_says_needs_no_question() {
    let (mut book, now) = (Book::default(), Instant::now());
    let mut known = question("a", by_alias());
    known.versions.get_mut("a").unwrap().known = Some(run("r1"));
    assert_eq!(book.follow(&owner(), Some(known), now), ([("a".to_owned(), Ok(run("r1")))].into(), false));
    assert_eq!(book.next_due(), None);
}

#[test]
fn what_status_says_is_asked_for_after_all_when_the_spec_changes_since_it_may_not_be_all() {
    let (mut book, now) = (Book::default(), Instant::now());
    let mut remembered = question("a", Which::Run("r1".into()));
    remembered.versions.get_mut("a").unwrap().known = Some(run("r1"));
    book.follow(&owner(), Some(remembered), now);
    let newer = Question { generation: 2, ..question("a", Which::Run("r1".into())) };
    assert_eq!(book.follow(&owner(), Some(newer), now), (Heard::new(), true));
    due(&mut book, now);
}

#[test]
fn what_is_wrong_is_asked_again_ever_more_seldom_and_told_once() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    book.follow(&owner(), Some(question("a", by_alias())), now);
    let mut waits = Vec::new();
    for turn in 0..9 {
        let job = due(&mut book, now);
        assert_eq!(book.finish(&job, problem(UNREACHABLE), now).is_some(), turn == 0);
        let next = book.next_due().unwrap();
        waits.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    let job = due(&mut book, now);
    assert!(book.finish(&job, problem(UNAUTHORIZED), now).is_some(), "another reason is news");
}

#[test]
fn a_changed_spec_asks_what_was_wrong_at_once() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.follow(&owner(), Some(question("a", by_alias())), now);
    let job = due(&mut book, now);
    book.finish(&job, problem(UNAUTHORIZED), now);
    assert!(book.take_due(now, Runs::AT_ONCE).is_empty());
    let newer = Question { generation: 2, ..question("a", by_alias()) };
    assert!(book.follow(&owner(), Some(newer), now).1);
    due(&mut book, now);
}

#[test]
fn a_secret_is_read_again_only_when_it_is_refused_or_the_spec_changes() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    book.follow(&owner(), Some(question("a", by_alias())), now);
    let mut read = Vec::new();
    for (reason, generation) in
        [(UNREACHABLE, 1), (UNREACHABLE, 1), (UNAUTHORIZED, 1), (UNREACHABLE, 2), (UNREACHABLE, 2)]
    {
        let job = due(&mut book, now);
        read.push(job.login.is_none());
        book.finish(&job, problem(reason), now);
        book.follow(&owner(), Some(Question { generation, ..question("a", by_alias()) }), now);
        now = book.next_due().unwrap();
    }
    assert_eq!(read, [true, false, false, true, true]);
}

#[test]
fn a_run_that_failed_is_not_asked_again() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.follow(&owner(), Some(question("a", by_alias())), now);
    let job = due(&mut book, now);
    book.finish(&job, problem(RUN_FAILED), now);
    assert_eq!(book.next_due(), None);
}

#[test]
fn an_answer_to_an_earlier_question_is_not_taken() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.follow(&owner(), Some(question("a", by_alias())), now);
    let job = due(&mut book, now);
    let elsewhere = Question { uri: TrackingUri::parse("http://other:5000").unwrap(), ..question("a", by_alias()) };
    book.follow(&owner(), Some(elsewhere.clone()), now);
    assert_eq!(book.finish(&job, known(), now), None);
    assert_eq!(book.follow(&owner(), Some(elsewhere), now).0, Heard::new());
    book.follow(&owner(), None, now);
    assert!(book.take_due(now, Runs::AT_ONCE).is_empty());
}

#[test]
fn an_image_of_another_run_than_its_aliass_is_told() {
    let (mut book, now) = (Book::default(), Instant::now());
    let mut asked = question("a", by_alias());
    asked.versions.get_mut("a").unwrap().expected = Some("r2".into());
    book.follow(&owner(), Some(asked), now);
    let job = due(&mut book, now);
    let problem = agreed(run("r1"), &job).unwrap_err();
    assert_eq!(problem.reason, RUN_MISMATCH);
    assert!(problem.message.contains("run r2 by its label") && problem.message.contains("is of run r1"), "{problem:?}");
    assert_eq!(agreed(run("r2"), &job), Ok(run("r2")));
}

#[test]
fn an_image_that_names_no_run_is_not_taken_for_the_one_of_another_image() {
    let (mut book, now) = (Book::default(), Instant::now());
    let mut asked = question("a", by_alias());
    book.follow(&owner(), Some(asked.clone()), now);
    asked.versions.get_mut("a").unwrap().taken = ["r1".to_owned()].into();
    assert_eq!(book.follow(&owner(), Some(asked.clone()), now), (Heard::new(), false), "it is asked for already");
    let job = due(&mut book, now);
    let problem = agreed(run("r1"), &job).unwrap_err();
    assert_eq!(problem.reason, RUN_TAKEN);
    assert!(problem.message.contains("alias champion") && problem.message.contains(RUN_ID), "{problem:?}");
    assert_eq!(agreed(run("r2"), &job), Ok(run("r2")));
    // One that names its run may well share it, as an image that was built anew does.
    let named = Job { expected: Some("r1".into()), ..job };
    assert_eq!(agreed(run("r1"), &named), Ok(run("r1")));
}

#[test]
fn a_secret_of_another_end_is_not_sent_to_a_tracking_server() {
    let secret = |kind: Option<&str>| {
        let data = serde_json::json!({"token": "b3Blbi1zZXNhbWU="});
        serde_json::from_value(serde_json::json!({"type": kind, "data": data})).unwrap()
    };
    for kind in [None, Some("Opaque"), Some("kubernetes.io/basic-auth")] {
        assert_eq!(read_login("hub", &secret(kind)), Ok(Login::Bearer("open-sesame".into())), "{kind:?}");
    }
    let problem = read_login("hub", &secret(Some("kubernetes.io/service-account-token"))).unwrap_err();
    assert_eq!(problem.reason, SECRET_MALFORMED);
    assert!(problem.message.contains("the Secret hub") && problem.message.contains("Opaque"), "{problem:?}");
}
