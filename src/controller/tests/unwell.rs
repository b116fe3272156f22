use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::decide::world::World,
    rollout::fixtures::{NAME, PodOf, Rollout, pushed},
};

const WRONG_PORT: &str =
    "up 1\nmodelship_exporter_model_unwell_info{listening=\"5000,5001\",status=\"\"} 1\nmodel_up 0\n";
const LOADING: &str = "modelship_exporter_model_unwell_info{listening=\"\",status=\"\"} 1\n";
const WELL: &str = "model_up 1\n";

fn unwell(status: Option<u16>, listening: &[u16]) -> Option<Unwell> {
    Some(Unwell { status, listening: listening.to_vec() })
}

#[test]
fn a_page_tells_who_listens_and_what_the_health_path_answers() {
    assert_eq!(on_page(WRONG_PORT), unwell(None, &[5000, 5001]));
    assert_eq!(on_page(LOADING), unwell(None, &[]));
    let path = "modelship_exporter_model_unwell_info{listening=\"8080\",status=\"404\"} 1\n";
    assert_eq!(on_page(path), unwell(Some(404), &[8080]));
    for page in [WELL, "", "# HELP modelship_exporter_model_unwell_info x\n", "modelship_exporter_model_unwell_info{x"]
    {
        assert_eq!(on_page(page), None, "{page}");
    }
}

/// A roll-out of the second version, whose pods are these.
fn rolling(fields: Value, pods: &[PodOf]) -> World {
    let mut world = World::serving(fields);
    world.push(pushed(2));
    world.turn();
    world.rollout(&Rollout::introducing(1));
    world.pods(pods);
    world
}

fn running() -> PodOf {
    PodOf::new(2).state(json!({"running": {}}), json!({}))
}

fn asked(world: &World) -> Option<String> {
    let spec = ValidSpec::parse(NAME, &world.spec).unwrap();
    question(&spec, &world.plan(), &world.observe()).map(|question| question.pod)
}

#[test]
fn only_a_pod_of_the_wanted_version_that_runs_and_is_not_ready_is_asked() {
    let killed = || PodOf::new(2).state(json!({"running": {}}), json!({"terminated": {"exitCode": 137}}));
    for pod in [running(), killed(), PodOf::new(2).crashing(0)] {
        let world = rolling(json!({}), &[PodOf::ready(1), pod]);
        assert_eq!(asked(&world).as_deref(), Some("grape-scorer-1"));
    }
    for pod in [PodOf::ready(2), PodOf::new(2), PodOf::new(2).crashing(1), running().leaving(), PodOf::new(1)] {
        assert_eq!(asked(&rolling(json!({}), &[PodOf::ready(1), pod])), None);
    }
    let without = json!({"exporter": {"enabled": false}, "monitoring": {"enabled": false}});
    assert_eq!(asked(&rolling(without, &[PodOf::ready(1), running()])), None);
}

/// A book with one question, and the time of its first look.
fn book() -> (Book, Instant) {
    let (mut book, now) = (Book::default(), Instant::now());
    let question = Question { pod: "grape-1".into(), address: IpAddr::from([10, 20, 30, 40]) };
    assert!(book.follow("uid", Key::default(), Some(question.clone()), now));
    assert!(!book.follow("uid", Key::default(), Some(question), now), "it is asked already");
    (book, now + OFTEN)
}

/// Takes the answer to the question that is due then: whether it is news, and when it is asked next.
fn hears(book: &mut Book, now: &mut Instant, page: Option<&str>) -> bool {
    let jobs = book.take_due(*now, 4);
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let news = book.finish(&jobs[0], page, *now).is_some();
    *now = book.next_due().unwrap();
    news
}

#[tokio::test]
async fn what_is_heard_twice_is_believed_and_told_once() {
    let (mut book, mut now) = book();
    let heard = [Some(LOADING), Some(WRONG_PORT), Some(WRONG_PORT), Some(WRONG_PORT), None, Some(WELL)];
    let news: Vec<bool> = heard.into_iter().map(|page| hears(&mut book, &mut now, page)).collect();
    assert_eq!(news, [false, false, true, false, false, false]);
    assert_eq!(book.entries["uid"].believed, unwell(None, &[5000, 5001]));
}

#[tokio::test]
async fn while_the_container_starts_anew_what_was_believed_stands() {
    let (mut book, mut now) = book();
    let heard = [WRONG_PORT, WRONG_PORT, LOADING, LOADING, WRONG_PORT, WRONG_PORT];
    let news: Vec<bool> = heard.into_iter().map(|page| hears(&mut book, &mut now, Some(page))).collect();
    assert_eq!(news, [false, true, false, false, false, false]);
}

#[tokio::test]
async fn it_is_asked_often_at_first_and_then_seldom() {
    let (mut book, first) = book();
    let mut now = first;
    let pauses: Vec<u64> = (0..8)
        .map(|_| {
            let before = now;
            hears(&mut book, &mut now, None);
            (now - before).as_secs()
        })
        .collect();
    assert_eq!(pauses, [5, 5, 5, 5, 5, 5, 300, 300]);
}

#[tokio::test]
async fn an_answer_to_an_earlier_question_and_of_a_model_that_is_gone_counts_for_nothing() {
    let (mut book, now) = book();
    let job = book.take_due(now, 4).remove(0);
    let other = Question { pod: "grape-2".into(), address: IpAddr::from([10, 20, 30, 41]) };
    assert!(book.follow("uid", Key::default(), Some(other), now));
    assert_eq!(book.finish(&job, Some(WRONG_PORT), now), None);
    assert!(!book.follow("uid", Key::default(), None, now));
    assert_eq!((book.next_due(), book.finish(&job, Some(WRONG_PORT), now)), (None, None));
}

/// The word of a real page reaches the condition, through the real client.
#[tokio::test]
async fn a_wrong_port_reaches_status_before_the_deadline() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let exporter = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            drop(stream.read(&mut head).await);
            let length = WRONG_PORT.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{WRONG_PORT}");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    let models = UnwellModels::of(Exporters::at_port(port).unwrap());
    let job = Job { uid: "uid".into(), number: 1, address: IpAddr::from([127, 0, 0, 1]) };
    assert_eq!(models.ask(&job).await.as_deref(), Some(WRONG_PORT));
    exporter.abort();
    let question = Question { pod: "grape-scorer-1".into(), address: IpAddr::from([127, 0, 0, 1]) };
    models.book().follow("uid", Key::default(), Some(question), Instant::now());
    for _ in 0..2 {
        models.finish(&job, Some(WRONG_PORT.to_owned()), Instant::now());
    }
    let mut pods = vec![running().facts()];
    models.tell("uid", &mut pods);
    assert_eq!(pods[0].unwell, unwell(None, &[5000, 5001]));
    let mut others = vec![PodOf::ready(2).facts()];
    models.tell("uid", &mut others);
    assert_eq!(others[0].unwell, None, "it is ready by now");
}
