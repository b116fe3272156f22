use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use super::*;
use crate::{
    api::ModelDeploymentStatus,
    controller::{
        asking,
        decide::world::{UID, World},
        story::tell,
    },
    exporter::reading::Kind,
    resources::ChildKind,
    rollout::fixtures::{NAME, NAMESPACE, PodOf, Rollout, digest, pushed, spec},
};

fn reading(number: u8, kind: Kind, path: &str) -> FoundReading {
    FoundReading::new(&digest(number).to_string(), &Decided::said(kind, path.parse().unwrap(), None))
}

/// The key `found` of the settings that pods are given.
fn handed(world: &World) -> Value {
    let settings = world.object(ChildKind::ConfigMap, "grape-scorer-exporter");
    let settings: Value = serde_json::from_str(settings["data"]["settings.json"].as_str().unwrap()).unwrap();
    settings["predictions"]["found"].clone()
}

fn asked(world: &World) -> Option<Question> {
    question(&ValidSpec::parse(NAME, &world.spec).unwrap(), &world.plan(), &world.observe())
}

/// As an exporter tells it that says nothing of how sure it is.
fn unsure(kind: Kind, path: &str) -> Decided {
    Decided { certainty: 0, settled: false, ..Decided::said(kind, path.parse().unwrap(), None) }
}

#[test]
fn a_page_tells_how_sure_it_is_and_which_path_is_answered() {
    let page = "modelship_exporter_reading_certainty_ratio 0.92\nmodelship_exporter_reading_info{kind=\"labels\",path=\"$\",\
                request_path=\"/predict\",source=\"found\"} 1\nmodelship_exporter_reading_rows 12\n\
                modelship_exporter_reading_settled 1\n";
    let expected = Decided {
        rows: 12,
        certainty: 92,
        ..Decided::said(Kind::Labels, "$".parse().unwrap(), Some("/predict".into()))
    };
    assert_eq!(Some(expected), found_on(page));
}

#[test]
fn a_page_tells_how_predictions_are_read_once_that_is_settled() {
    let info = |labels: &str| format!("up 1\nmodelship_exporter_reading_info{{{labels}}} 1\nmodel_up 1\n");
    let class = |path: &str| Some(unsure(Kind::Class, path));
    for (page, expected) in [
        (info(r#"kind="class",path="$",source="found""#), class("$")),
        (info(r#"source="found",path="$.label",kind="class""#), class("$.label")),
        (info(r#"kind="class",path="$['a \"b\" c']",source="found""#), class(r#"$['a "b" c']"#)),
        (info(r#"source="a\\b\nc",kind="class",path="$""#), class("$")),
        (info(r#"path="$['kind=\"x\",']",kind="class",source="found""#), class(r#"$['kind="x",']"#)),
        (info(r#"kind="undecided",path="",source="found""#), None),
        (info(r#"kind="class",path="label",source="found""#), None),
        (info(r#"kind="class""#), None),
        (info(r#"kind="class",path="$"#), None),
        (info(r#"kind="class\"#), None),
        ("# HELP modelship_exporter_reading_info none\nmodel_up 1\n".into(), None),
        (String::new(), None),
    ] {
        assert_eq!(expected, found_on(&page), "{page}");
    }
}

#[test]
fn the_exporters_own_page_is_understood() {
    let registry = prometheus::Registry::new();
    let errors = crate::exporter::blame::Errors::new(&registry).unwrap();
    let settings = reading::check(&json!({"found": {"kind": "number", "path": "$['a \"b\" c']"}})).unwrap();
    let _intake = reading::Intake::start(&registry, settings, errors).unwrap();
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert_eq!(Some(unsure(Kind::Number, "$['a \"b\" c']")), found_on(&page));
}

#[test]
fn only_a_version_that_serves_and_whose_reading_is_open_and_unknown_is_asked() {
    let serving = |fields: Value| World::serving(fields);
    assert!(asked(&serving(json!({}))).is_some());
    assert!(asked(&serving(json!({"predictions": {"kind": "class"}}))).is_some(), "the path may be found");
    for fields in [
        json!({"predictions": {"kind": "class", "path": "$"}}),
        json!({"exporter": {"enabled": false}, "monitoring": {"enabled": false}}),
    ] {
        assert_eq!(None, asked(&serving(fields.clone())), "{fields}");
    }
    let mut world = serving(json!({}));
    world.status.predictions = Some(reading(1, Kind::Class, "$"));
    assert_eq!(None, asked(&world), "it is known");
    world.status.predictions = Some(reading(2, Kind::Class, "$"));
    assert!(asked(&world).is_some(), "another version's is known");
    let mut world = serving(json!({}));
    world.pods(&[PodOf::new(1)]);
    assert_eq!(None, asked(&world), "nobody is ready");
    world.pods(&[PodOf::ready(1).leaving(), PodOf::ready(2)]);
    assert_eq!(None, asked(&world), "one leaves, and the other runs something else");
    world.pods(&[PodOf::ready(1)]);
    world.rollout(&Rollout::introducing(1));
    assert_eq!(None, asked(&world), "a roll-out is under way");
}

#[test]
fn what_was_found_is_shown_and_handed_to_the_pods_of_that_version_alone() {
    let mut world = World::serving(json!({}));
    assert_eq!((None, Value::Null), (world.status.predictions.clone(), handed(&world)));
    let found = reading(1, Kind::Probabilities, "$.scores");
    world.status.predictions = Some(found.clone());
    world.turn();
    assert_eq!(Some(&found), world.status.predictions.as_ref());
    let told = json!({"kind": "probabilities", "path": "$.scores", "rows": 0, "certainty": 100, "settled": true});
    assert_eq!(told, handed(&world));
    world.push(pushed(2));
    world.turn();
    assert_eq!(Value::Null, handed(&world), "the next version may say something else");
    assert_eq!(Some(&found), world.status.predictions.as_ref(), "for a return to it");
    world.push(pushed(1));
    world.turn();
    assert_eq!(told, handed(&world));
}

#[test]
fn a_correction_is_told_once_with_what_it_was_before() {
    let world = World::serving(json!({}));
    let with = |found: &Decided, world: &World| ModelDeploymentStatus {
        predictions: Some(FoundReading::new(&digest(1).to_string(), found)),
        ..world.status.clone()
    };
    let first = Decided { rows: 3, ..unsure(Kind::Class, "$") };
    let later = Decided { rows: 40, ..unsure(Kind::Number, "$") };
    let (before, after) = (with(&first, &world), with(&later, &world));
    let told = tell(&before, &after, None);
    let words = "predictions are read as number at $ by now, after 40 rows; they were taken for class at $ at first";
    assert_eq!(
        vec![("PredictionsCorrected", words)],
        told.iter().map(|note| (&*note.reason, &*note.text)).collect::<Vec<_>>()
    );
    assert_eq!(0, tell(&after, &after, None).len());
    let surer = with(&Decided { rows: 90, settled: true, ..later }, &world);
    assert_eq!(0, tell(&after, &surer, None).len(), "more of the same is no news");
    let other = ModelDeploymentStatus { predictions: Some(reading(2, Kind::Class, "$")), ..after.clone() };
    assert_eq!(0, tell(&after, &other, None).len(), "another version was never read otherwise");
}

#[test]
fn what_the_spec_says_is_not_shown_as_found() {
    for (predictions, shows) in [
        (json!({"kind": "class"}), true),
        (json!({"path": "$"}), true),
        (json!({"kind": "class", "path": "$"}), false),
        (json!({"kind": "number"}), false),
        (json!({"path": "$.label"}), false),
    ] {
        let mut world = World::serving(json!({}));
        world.status.predictions = Some(reading(1, Kind::Class, "$"));
        world.change(json!({"predictions": predictions}));
        world.turn();
        assert_eq!(shows, world.status.predictions.is_some(), "{predictions}");
        assert_eq!(shows, handed(&world) != Value::Null, "{predictions}");
    }
}

#[test]
fn a_status_that_another_has_scribbled_in_is_no_finding() {
    let mut world = World::serving(json!({}));
    world.status.predictions = Some(FoundReading { path: "scribble".into(), ..reading(1, Kind::Class, "$") });
    world.turn();
    assert_eq!((None, Value::Null), (world.status.predictions.clone(), handed(&world)));
}

/// A question of the first push's reading.
fn open_question(addresses: &[&str]) -> Question {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Question { digest: digest(1).to_string(), reading: open(&spec(json!({}))).unwrap(), addresses, known: None }
}

/// What the page of an exporter says that has found this, and nothing else that is news.
fn page(decided: &Decided) -> Option<Page> {
    Some(Page { decided: Some(decided.clone()), answers: Answers::Unknown })
}

fn model() -> Key {
    (NAMESPACE.into(), NAME.into())
}

#[tokio::test(start_paused = true)]
async fn pods_are_asked_in_turn_ever_more_rarely_until_one_has_found_it() {
    let (mut book, start) = (Book::default(), Instant::now());
    assert!(book.follow(UID, model(), Some(open_question(&["10.0.0.1", "10.0.0.2"])), start));
    assert!(!book.follow(UID, model(), Some(open_question(&["10.0.0.1", "10.0.0.2"])), start), "no news");
    let mut asked = Vec::new();
    for _ in 0..9 {
        let due = book.next_due().unwrap();
        assert_eq!(Vec::<Job>::new(), book.take_due(due - Duration::from_millis(1), 9));
        let jobs = book.take_due(due, 9);
        assert_eq!((1, None), (jobs.len(), book.next_due()), "nobody is asked twice at once");
        asked.push(((due - start).as_secs(), jobs[0].address.to_string()));
        assert_eq!(None, book.finish(&jobs[0], None, due));
    }
    let (at, whom): (Vec<u64>, Vec<String>) = asked.into_iter().unzip();
    assert_eq!(vec![5, 15, 35, 75, 155, 315, 615, 915, 1215], at);
    assert_eq!(["10.0.0.1", "10.0.0.2", "10.0.0.1"], whom[..3]);
    let due = book.next_due().unwrap();
    let job = book.take_due(due, 9).remove(0);
    let found = Decided::said(Kind::Class, "$".parse().unwrap(), None);
    assert_eq!(Some(model()), book.finish(&job, page(&found), due));
    assert_eq!(None, book.next_due(), "once it is found nobody is asked again");
    assert_eq!(Some(reading(1, Kind::Class, "$")), book.newest(UID, None));
    book.follow(UID, model(), None, due);
    assert_eq!(Some(reading(1, Kind::Class, "$")), book.newest(UID, None), "until the status holds it");
    let stored = book.newest(UID, None);
    assert_eq!(stored, book.newest(UID, stored.as_ref()));
    assert!(book.entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_for_the_question_that_was_asked_alone() {
    let (mut book, start) = (Book::default(), Instant::now());
    let number = Decided::said(Kind::Number, "$".parse().unwrap(), None);
    let ask = |book: &mut Book, question: Question| {
        book.follow(UID, model(), Some(question), start);
        book.take_due(start + FIRST, 1).remove(0)
    };
    let job = ask(&mut book, open_question(&["10.0.0.1"]));
    let other = Question { digest: digest(2).to_string(), ..open_question(&["10.0.0.2"]) };
    let newer = ask(&mut book, other);
    assert_eq!(None, book.finish(&job, page(&number), start), "that version is gone");
    assert_eq!(Some(model()), book.finish(&newer, page(&number), start));
    let class_alone = open(&spec(json!({"predictions": {"kind": "class"}}))).unwrap();
    let job = ask(&mut book, Question { reading: class_alone, ..open_question(&["10.0.0.1"]) });
    assert_eq!(None, book.finish(&job, page(&number), start), "the exporter lags behind the spec");
    assert!(book.next_due().is_some());
    book.follow(UID, model(), None, start);
    assert_eq!((None, None), (book.next_due(), book.finish(&job, page(&number), start)), "nothing is asked any more");
}

#[tokio::test(start_paused = true)]
async fn that_answers_are_not_read_is_news_once_and_the_question_stays() {
    let (mut book, start) = (Book::default(), Instant::now());
    book.follow(UID, model(), Some(open_question(&["10.0.0.1"])), start);
    let unread = Answers::on(&crate::controller::unread::page(0, 30, r#"reason="malformed",shape="",path="""#));
    assert_ne!(Answers::Read, unread);
    let mut said = |answers: &Answers| {
        let due = book.next_due().unwrap();
        let job = book.take_due(due, 1).remove(0);
        book.finish(&job, Some(Page { decided: None, answers: answers.clone() }), due)
    };
    assert_eq!((Some(model()), None), (said(&unread), said(&unread)));
    assert_eq!((Some(model()), None), (said(&Answers::Read), said(&Answers::Read)));
    assert_eq!(Answers::Read, book.entries[UID].answers);
}

/// A page server on a port of its own, for two requests: an endless page without the series, then one with it.
async fn exporter() -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for info in [false, true] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
            if info {
                let line = "modelship_exporter_reading_info{kind=\"class\",path=\"$\",source=\"found\"} 1\n";
                socket.write_all(line.as_bytes()).await.unwrap();
            }
            while !info && socket.write_all(&[b'\n'; 65_536]).await.is_ok() {}
        }
    });
    port
}

#[tokio::test]
async fn a_real_page_is_fetched_bounded_in_size_and_the_model_is_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let port = exporter().await;
    let readings = Readings::of(Exporters::at_port(port).unwrap());
    let endless = readings.exporters.page(IpAddr::from([127, 0, 0, 1]), LARGEST_PAGE).await.unwrap();
    assert!((LARGEST_PAGE..2 * LARGEST_PAGE).contains(&endless.len()), "{} bytes", endless.len());
    let (news, mut heard) = mpsc::channel(1);
    let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: UID.into() };
    readings.follow(&owner, Some(open_question(&["127.0.0.1"])));
    readings.book().entries.values_mut().for_each(|entry| entry.due = Some(Instant::now()));
    let asking = tokio::spawn(asking::run(readings.clone(), news));
    let model = heard.recv().await.unwrap();
    assert_eq!((Some(NAMESPACE), NAME), (model.namespace.as_deref(), model.name.as_str()));
    let found = FoundReading::new(&digest(1).to_string(), &unsure(Kind::Class, "$"));
    assert_eq!(Some(found), readings.newest(UID, None));
    asking.abort();
}
