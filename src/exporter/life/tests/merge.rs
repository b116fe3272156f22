use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{Histogram, IntGauge, histogram_opts};

use super::{
    super::{
        exposition::write,
        fixture::{LONG, Model, answer, nowhere, ok},
    },
    *,
};

fn text(page: &str) -> Vec<Family> {
    parse(page.as_bytes(), Format::Text).families
}

fn ours() -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(IntGauge::new("ours", "Ours.").unwrap())).unwrap();
    registry.register(Box::new(Histogram::with_opts(histogram_opts!("seconds", "Ours.")).unwrap())).unwrap();
    registry
}

/// (clash, line, malformed, refused, too big, unreachable)
fn counts(dropped: &Dropped) -> [u64; 6] {
    let Dropped { clash, line, malformed, refused, too_big, unreachable } = dropped;
    [clash, line, malformed, refused, too_big, unreachable].map(IntCounter::get)
}

async fn families(model: &str) -> (Vec<Family>, [u64; 6]) {
    let dropped = Dropped::new(&Registry::new()).unwrap();
    let page = ModelPage::new(model, PathAndQuery::from_static("/metrics"), dropped.clone());
    let families = page.families(Some(LONG)).await.to_vec();
    (families, counts(&dropped))
}

#[test]
fn ours_win_and_each_family_left_out_is_counted() {
    let registry = ours();
    let dropped = Dropped::new(&registry).unwrap();
    let first = text("# TYPE theirs gauge\ntheirs 1\n# TYPE ours gauge\nours 5\n");
    let second = text("theirs 2\nseconds_bucket 3\n# TYPE seconds_sum counter\nseconds_sum 3\nrest 4\n");
    let mut page = String::new();
    write(&fitting(&registry.gather(), &[&first, &second], &dropped), false, &mut page);
    assert_eq!(page, "# TYPE theirs gauge\ntheirs 1\n# TYPE rest untyped\nrest 4\n");
    assert_eq!(counts(&dropped), [4, 0, 0, 0, 0, 0]);
}

#[test]
fn a_histogram_of_theirs_does_not_hide_behind_its_parts() {
    let registry = ours();
    let dropped = Dropped::new(&registry).unwrap();
    registry.register(Box::new(IntGauge::new("other_count", "Ours.").unwrap())).unwrap();
    let theirs = text("# TYPE other histogram\nother_bucket{le=\"+Inf\"} 1\nother_sum 1\nother_count 1\n");
    assert_eq!(fitting(&registry.gather(), &[&theirs], &dropped), []);
    assert_eq!(counts(&dropped)[0], 1);
}

#[tokio::test]
async fn the_models_page_is_asked_for_in_the_plain_format() {
    let model = Model::new(|_| ok("a 1\n")).await;
    let (families, counts) = families(&model.address).await;
    assert_eq!((families.len(), counts), (1, [0; 6]));
    let asked = model.requests.lock().unwrap().join("");
    assert!(asked.starts_with("GET /metrics ") && asked.contains("accept: text/plain;version=0.0.4\r\n"), "{asked}");
}

#[tokio::test]
async fn an_openmetrics_answer_is_understood() {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let model = Model::new(move |_| answer("200 OK", kind, "# TYPE a counter\na_total 1 # {} 1\n# EOF\n")).await;
    let (families, counts) = families(&model.address).await;
    assert_eq!((families[0].name.as_str(), counts), ("a_total", [0; 6]));
}

#[tokio::test]
async fn a_page_that_cannot_be_had_is_counted_by_reason() {
    let error = Model::new(|_| answer("404 Not Found", "text/plain", "a 1\n")).await;
    assert_eq!(families(&error.address).await, (vec![], [0, 0, 0, 1, 0, 0]));
    assert_eq!(families(&nowhere().await).await, (vec![], [0, 0, 0, 0, 0, 1]));
    let html = Model::new(|_| answer("200 OK", "text/html", "<html></html>")).await;
    assert_eq!(families(&html.address).await, (vec![], [0, 0, 1, 0, 0, 0]));
    let huge = Model::new(|_| ok(&"a_metric 1\n".repeat(LARGEST_PAGE / 11 + 1))).await;
    assert_eq!(families(&huge.address).await, (vec![], [0, 0, 0, 0, 1, 0]));
    let nothing = Model::new(|_| ok("# nothing yet\n")).await;
    assert_eq!(families(&nothing.address).await, (vec![], [0; 6]));
    let binary = Model::new(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\n".into()).await;
    assert_eq!(families(&binary.address).await, (vec![], [0, 0, 1, 0, 0, 0]));
}

#[tokio::test]
async fn a_page_that_has_moved_on_the_same_server_is_followed_once_and_nowhere_else() {
    let moved = |location: &str| {
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
    };
    let mounted =
        Model::new(move |path| if path == "/metrics/" { ok("a 1\n") } else { moved("/metrics/").into() }).await;
    let (found, counts) = families(&mounted.address).await;
    assert_eq!((found.len(), counts), (1, [0; 6]));
    let circle = Model::new(move |path| moved(path).into()).await;
    assert_eq!(families(&circle.address).await, (vec![], [0, 0, 0, 1, 0, 0]));
    assert_eq!(circle.asked(), 2);
    let elsewhere = Model::new(|_| ok("a 1\n")).await;
    let target = format!("http://{}/metrics", elsewhere.address);
    let away = Model::new(move |_| moved(&target).into()).await;
    assert_eq!(families(&away.address).await, (vec![], [0, 0, 0, 1, 0, 0]));
    assert_eq!((away.asked(), elsewhere.asked()), (1, 0));
}

#[tokio::test]
async fn a_silent_model_costs_less_than_the_scraper_waits() {
    let model = Model::new(|_| Vec::new()).await;
    let dropped = Dropped::new(&Registry::new()).unwrap();
    let page = ModelPage::new(&model.address, PathAndQuery::from_static("/metrics"), dropped.clone());
    let start = Instant::now();
    assert!(page.families(Some(Duration::from_millis(100))).await.is_empty());
    assert!(start.elapsed() < LONGEST && start.elapsed() >= Duration::from_millis(75));
    assert_eq!(counts(&dropped), [0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn several_scrapers_ask_the_model_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let model = Model::new(move |_| ok(&format!("a {}\n", count.fetch_add(1, Ordering::SeqCst)))).await;
    let page =
        ModelPage::new(&model.address, PathAndQuery::from_static("/metrics"), Dropped::new(&Registry::new()).unwrap());
    let all = futures::future::join_all((0..10).map(|_| page.families(None))).await;
    assert!(all.iter().all(|families| families.len() == 1));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_wrong_line_is_left_out_and_counted_and_the_others_stay() {
    let page = "a 1\na -nan\nb +nan\nc 1e400\nd 1 -5\n# TYPE e number\ne{x=\"y\"} 2\n";
    let model = Model::new(|_| ok(page)).await;
    let (families, counts) = families(&model.address).await;
    let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!((names, counts), (vec!["a", "e"], [0, 5, 0, 0, 0, 0]));
}
