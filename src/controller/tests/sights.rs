use serde_json::json;

use super::*;

const GRAPE: &str = "grape-scorer";

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

fn model() -> Key {
    key("tasting-room", GRAPE)
}

fn main() -> Key {
    key("monitoring", "main")
}

fn expectation() -> Expectation {
    Expectation { scraped_by: vec![main()], evaluated_by: vec![main()], told: true }
}

fn book() -> Book {
    let mut book = Book::default();
    assert!(book.follow("1", model(), Some(expectation())));
    book
}

fn answer(up: Option<bool>, evaluated: bool) -> BTreeMap<Key, Answer> {
    let answer = Answer {
        scraped: up.map(|up| (model(), up)).into_iter().collect(),
        evaluated: evaluated.then(model).into_iter().collect(),
        told: HashSet::from([model()]),
        containers: true,
    };
    BTreeMap::from([(main(), answer)])
}

/// Nobody scrapes the operator.
fn untold() -> BTreeMap<Key, Answer> {
    let mut answers = answer(Some(true), true);
    answers.values_mut().for_each(|answer| answer.told.clear());
    answers
}

fn proof(book: &Book) -> Proof {
    book.entries["1"].proof
}

#[test]
fn what_is_seen_is_told_once() {
    let mut book = book();
    assert_eq!(proof(&book), Proof::Awaited);
    assert_eq!(book.take(&answer(Some(true), true)), [Hint::Model(model())]);
    assert_eq!(proof(&book), Proof::Seen);
    assert_eq!(book.take(&answer(Some(true), true)), []);
    assert!(!book.awaits());
}

#[test]
fn what_is_missing_counts_only_when_it_has_been_missing_for_a_while() {
    for (answers, missing) in [
        (answer(None, true), Proof::NotScraped),
        (answer(Some(false), true), Proof::ScrapeFails),
        (answer(Some(true), false), Proof::NotEvaluated),
        (untold(), Proof::OperatorNotScraped),
    ] {
        let mut book = book();
        book.take(&answer(Some(true), true));
        for _ in 1..MISSES {
            assert_eq!(book.take(&answers), []);
            assert_eq!(proof(&book), Proof::Seen);
        }
        assert_eq!(book.take(&answers), [Hint::Model(model())]);
        assert_eq!(proof(&book), missing);
        assert_eq!(book.take(&answer(Some(true), true)), [Hint::Model(model())], "it heals at the first sight");
    }
}

#[test]
fn an_operator_that_nobody_scrapes_is_not_asked_for_often() {
    let mut book = book();
    for _ in 0..MISSES {
        assert!(book.awaits());
        book.take(&untold());
    }
    assert!(!book.awaits(), "it may be meant so");
    book.take(&answer(None, true));
    assert!(book.awaits(), "what else is missing is waited for");
}

#[test]
fn whose_rules_need_nothing_of_the_operators_does_not_wait_for_it() {
    let mut book = Book::default();
    book.follow("1", model(), Some(Expectation { told: false, ..expectation() }));
    book.take(&untold());
    assert_eq!(proof(&book), Proof::Seen);
}

#[test]
fn a_prometheus_that_does_not_answer_is_no_evidence() {
    let mut book = book();
    book.take(&answer(Some(true), true));
    for _ in 0..2 * MISSES {
        assert_eq!(book.take(&BTreeMap::new()), []);
    }
    assert_eq!(proof(&book), Proof::Seen);
}

#[test]
fn of_two_that_select_a_model_one_is_enough() {
    let mut book = Book::default();
    let other = key("monitoring", "other");
    let both =
        Expectation { scraped_by: vec![other.clone(), main()], evaluated_by: vec![other.clone(), main()], told: true };
    book.follow("1", model(), Some(both));
    let mut answers = answer(Some(true), true);
    answers.insert(other, Answer { containers: true, ..Answer::default() });
    book.take(&answers);
    assert_eq!(proof(&book), Proof::Seen);
}

#[test]
fn what_one_shard_knows_the_whole_prometheus_knows() {
    let merlot = key("cellar", "merlot");
    let shards = || {
        [
            Answer {
                scraped: HashMap::from([(model(), true), (merlot.clone(), false)]),
                evaluated: HashSet::from([model()]),
                told: HashSet::new(),
                containers: false,
            },
            Answer {
                scraped: HashMap::from([(merlot.clone(), true)]),
                evaluated: HashSet::from([merlot.clone()]),
                told: HashSet::from([model()]),
                containers: true,
            },
            Answer { scraped: HashMap::from([(model(), false)]), ..Answer::default() },
        ]
    };
    let expected = Answer {
        scraped: HashMap::from([(model(), true), (merlot.clone(), true)]),
        evaluated: HashSet::from([model(), merlot.clone()]),
        told: HashSet::from([model()]),
        containers: true,
    };
    let whole = |shards: Vec<Answer>| {
        shards.into_iter().fold(Answer::default(), |mut whole, shard| {
            whole.add(shard);
            whole
        })
    };
    assert_eq!(whole(shards().into()), expected);
    assert_eq!(whole(shards().into_iter().rev().collect()), expected);
}

#[test]
fn metrics_of_containers_that_stay_away_concern_every_model() {
    let mut book = book();
    let without = |containers| {
        let mut answers = answer(Some(true), true);
        answers.values_mut().for_each(|answer| answer.containers = containers);
        answers
    };
    book.take(&without(true));
    for _ in 1..MISSES {
        assert_eq!(book.take(&without(false)), []);
    }
    assert!(!book.lacks_containers(&main(), false));
    assert_eq!(book.take(&without(false)), [Hint::All]);
    assert!(book.lacks_containers(&main(), false));
    assert_eq!(book.take(&without(true)), [Hint::All]);
    assert!(!book.lacks_containers(&main(), true), "one look at some is enough");
}

#[test]
fn another_expectation_begins_anew_and_none_is_forgotten() {
    let mut book = book();
    book.take(&answer(Some(true), true));
    assert!(!book.follow("1", model(), Some(expectation())), "the same is no news");
    assert!(book.follow("1", model(), Some(Expectation { evaluated_by: Vec::new(), ..expectation() })));
    assert_eq!(proof(&book), Proof::Awaited);
    assert!(!book.follow("1", model(), None));
    assert!(!book.follow("1", model(), Some(Expectation::default())), "there is nothing to ask anybody");
    assert!(book.entries.is_empty());
    assert!(book.entries.is_empty() && book.asked().is_empty());
}

#[test]
fn an_answer_is_read_by_namespace_and_model() {
    let result = json!([
        {"metric": {"namespace": "tasting-room", "model": GRAPE}, "value": [1.0, "1"]},
        {"metric": {"namespace": "cellar", "model": "merlot"}, "value": [1.0, "0"]},
        {"metric": {"model": "nowhere"}, "value": [1.0, "1"]},
        {"metric": {"namespace": "x", "model": "y"}, "value": [1.0, "NaN?"]},
    ]);
    assert_eq!(models(&result, "namespace"), HashMap::from([(model(), true), (key("cellar", "merlot"), false)]));
    assert_eq!(models(&json!(null), "namespace"), HashMap::new());
    // The operator's own series bear its own namespace under the other name.
    let told = json!([{"metric": {"namespace": "harbour", "model_namespace": "cellar", "model": "merlot"}, "value": [1.0, "1"]}]);
    assert_eq!(models(&told, "model_namespace"), HashMap::from([(key("cellar", "merlot"), true)]));
}

#[test]
fn that_there_are_no_metrics_of_containers_is_remembered_over_a_restart() {
    let mut book = Book::default();
    assert!(book.lacks_containers(&main(), true) && !book.lacks_containers(&main(), false));
    let mut answers = answer(Some(true), true);
    answers.values_mut().for_each(|answer| answer.containers = false);
    book.take(&answers);
    assert!(book.lacks_containers(&main(), true), "a first look that finds none changes nothing");
}
