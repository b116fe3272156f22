use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    super::{
        clock::Clock,
        fixture::{LONG, Model, answer, nowhere, ok, until},
        verdict::Evidence,
    },
    *,
};

fn check(model: &str, path: Option<&'static str>) -> Check {
    let health = Health::new(Clock::by(|| Duration::from_secs(7)));
    let silence = Silence::new(std::path::Path::new("/proc/self/net"), [], None);
    Check { model: model.to_owned(), path: path.map(PathAndQuery::from_static), health, silence }
}

fn known() -> Evidence {
    Evidence { now: Duration::from_secs(7), ..Evidence::default() }
}

const NOW: Option<Duration> = Some(Duration::from_secs(7));

#[tokio::test]
async fn success_is_healthy_and_anything_else_is_not() {
    let model =
        Model::new(|path| if path == "/ping" { ok("\n") } else { answer("404 Not Found", "text/plain", "") }).await;
    let good = check(&model.address, Some("/ping"));
    assert!(matches!(good.ask(LONG).await, Found::Healthy));
    assert_eq!(good.health.evidence(false), Evidence { healthy: NOW, ..known() });
    let wrong = check(&model.address, Some("/health"));
    let found = wrong.ask(LONG).await;
    assert_eq!(wrong.health.evidence(false), Evidence { unhealthy: NOW, ..known() });
    let told = wrong.explain(&found);
    assert!(told.contains("GET /health is answered with 404") && told.contains("server.healthPath"), "{told}");
}

#[tokio::test]
async fn a_redirection_is_healthy_and_a_server_in_front_that_waits_in_vain_is_no_sign_of_life() {
    let model = Model::new(|path| match path {
        "/health" => answer("307 Temporary Redirect", "text/plain", ""),
        "/late" => answer("504 Gateway Timeout", "text/html", ""),
        _ => answer("502 Bad Gateway", "text/html", ""),
    })
    .await;
    let moved = check(&model.address, Some("/health"));
    assert!(matches!(moved.ask(LONG).await, Found::Healthy));
    let late = check(&model.address, Some("/late"));
    assert!(matches!(late.ask(LONG).await, Found::Unhealthy(StatusCode::GATEWAY_TIMEOUT)));
    assert_eq!(late.health.evidence(false), known());
    let away = check(&model.address, Some("/away"));
    assert!(matches!(away.ask(LONG).await, Found::Unhealthy(StatusCode::BAD_GATEWAY)));
    assert_eq!(away.health.evidence(false), Evidence { unhealthy: NOW, ..known() });
}

#[tokio::test]
async fn without_a_path_the_port_must_open() {
    let model = Model::new(|_| Vec::new()).await;
    let open = check(&model.address, None);
    assert!(matches!(open.ask(LONG).await, Found::Healthy));
    let closed = check(&nowhere().await, None);
    let found = closed.ask(LONG).await;
    assert_eq!(closed.health.evidence(false), Evidence { refused: NOW, ..known() });
    assert!(closed.explain(&found).contains("server.port"), "{}", closed.explain(&found));
}

#[tokio::test]
async fn what_was_heard_is_on_the_page_until_the_model_is_well() {
    let model =
        Model::new(|path| if path == "/ping" { ok("\n") } else { answer("404 Not Found", "text/plain", "") }).await;
    let registry = prometheus::Registry::new();
    let silence = Silence::new(std::path::Path::new("/nowhere"), [], None);
    super::super::silence::Told::register(&registry, &silence).unwrap();
    let ask = async |address: &str, path: &'static str| {
        Check { silence: silence.clone(), ..check(address, Some(path)) }.ask(LONG).await;
        let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        page.lines().last().unwrap_or_default().to_owned()
    };
    let series = |status: &str| format!("modelship_exporter_model_unwell_info{{listening=\"\",status=\"{status}\"}} 1");
    assert_eq!(ask(&nowhere().await, "/ping").await, series(""));
    assert_eq!(ask(&model.address, "/wrong").await, series("404"));
    assert_eq!(ask(&model.address, "/ping").await, "");
}

#[tokio::test]
async fn silence_says_nothing() {
    let model = Model::new(|_| Vec::new()).await;
    let silent = check(&model.address, Some("/ping"));
    let found = silent.ask(Duration::from_millis(50)).await;
    assert_eq!(silent.health.evidence(false), known());
    assert!(silent.explain(&found).contains("does not answer within 50 ms"), "{}", silent.explain(&found));
}

#[tokio::test]
async fn it_asks_every_period() {
    let model = Model::new(|_| ok("\n")).await;
    let task = tokio::spawn(check(&model.address, Some("/ping")).repeat(Duration::from_millis(5), LONG, Drain::new()));
    until("three checks", async || model.asked() >= 3).await;
    task.abort();
}

#[tokio::test]
async fn a_check_that_waits_for_its_turn_is_not_given_up_and_requests_that_wait_are_seen_meanwhile() {
    let model = Model::new(|_| Vec::new()).await;
    let looks = Arc::new(AtomicU64::new(0));
    let count = looks.clone();
    let health = Health::new(Clock::by(move || Duration::from_secs(count.fetch_add(1, Ordering::SeqCst))));
    let check = Check { health: health.clone(), ..check(&model.address, Some("/ping")) };
    let drain = Drain::new();
    let waiting = drain.enter();
    let task = tokio::spawn(check.repeat(Duration::from_millis(5), LONG, drain.clone()));
    until("twenty looks", async || looks.load(Ordering::SeqCst) > 20).await;
    drop(waiting);
    assert_eq!(model.asked(), 1);
    assert!(health.evidence(false).busy > Some(Duration::from_secs(10)));
    task.abort();
}
