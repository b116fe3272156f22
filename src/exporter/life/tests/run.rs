use std::time::Instant;

use futures::{FutureExt as _, channel::mpsc};
use http::StatusCode;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{
    super::{
        fetch,
        fixture::{LONG, Model, nowhere, ok, until},
        verdict::Evidence,
    },
    *,
};

/// A running room, and what it is connected to.
struct World {
    metrics: String,
    probes: String,
    health: Health,
    drain: Drain,
    signals: mpsc::UnboundedSender<()>,
    task: JoinHandle<io::Result<End>>,
    registry: Registry,
    _mount: TempDir,
}

fn rules() -> Rules {
    Rules { period: Duration::from_millis(50), silent_periods: 6, timeout: Duration::from_secs(60) }
}

fn world(model: &str, change: impl FnOnce(&mut Options)) -> World {
    let mount = TempDir::new().unwrap();
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = Options {
        metrics: listen(),
        probes: listen(),
        model: model.to_owned(),
        health_path: Some(PathAndQuery::from_static("/ping")),
        model_metrics: None,
        python_metrics: None,
        shared_proc: None,
        settings: mount.path().to_owned(),
        rules: rules(),
        startup_patience: Duration::from_secs(1),
        longest_end: Duration::from_secs(70),
    };
    change(&mut options);
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let (metrics, probes) = (address(&options.metrics), address(&options.probes));
    let registry = Registry::new();
    let life = Life::new(options, Arc::new(|_| Ok(())), &registry).unwrap();
    let (health, drain) = (life.health(), life.drain());
    let (signals, received) = mpsc::unbounded();
    let task = tokio::spawn(life.run(received));
    World { metrics, probes, health, drain, signals, task, registry, _mount: mount }
}

impl World {
    async fn get(&self, address: &str, path: &str) -> (u16, String) {
        let answer = fetch::get(address, &path.parse().unwrap(), &[], Some(1 << 20), LONG).await.unwrap();
        (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
    }

    async fn probe(&self, path: &str) -> u16 {
        self.get(&self.probes, path).await.0
    }

    async fn page(&self) -> String {
        let (status, page) = self.get(&self.metrics, "/metrics").await;
        assert_eq!(status, 200);
        page
    }

    async fn ended(self) -> End {
        tokio::time::timeout(LONG, self.task).await.unwrap().unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_model_that_comes_up_is_started_live_and_ready() {
    let address = nowhere().await;
    let world = world(&address, |_| {});
    let (status, why) = world.get(&world.probes, "/startup").await;
    assert_eq!(status, 503);
    assert!(why.contains(&address) && why.contains("server.port"), "{why}");
    assert_eq!(
        (world.probe("/ready").await, world.probe("/live").await, world.probe("/healthz").await),
        (503, 200, 200)
    );
    assert!(world.page().await.contains("\nmodel_up 0\n"));

    let model = Model::on(tokio::net::TcpListener::bind(&address).await.unwrap(), |_| ok("\n"));
    until("started", async || world.probe("/startup").await == 200).await;
    // Each for itself: on a busy machine a check may come later than its period, which is short here.
    until("ready", async || world.probe("/ready").await == 200).await;
    until("live", async || world.probe("/live").await == 200).await;
    until("shown as up", async || world.page().await.contains("\nmodel_up 1\n")).await;

    drop(model);
    until("dead", async || world.probe("/live").await == 503).await;
    assert_eq!((world.probe("/ready").await, world.probe("/startup").await), (503, 503));
    assert_eq!(world.probe("/healthz").await, 200, "the exporter itself is well");
}

#[tokio::test]
async fn the_start_up_probe_asks_the_model_now() {
    let model = Model::new(|_| ok("\n")).await;
    let address = model.address.clone();
    // Far from the next periodic check.
    let world = world(&address, |options| options.rules.period = Duration::from_secs(3600));
    assert_eq!(world.probe("/startup").await, 200);
    drop(model);
    until("a new container is not up because the old one was", async || world.probe("/startup").await == 503).await;
}

#[tokio::test]
async fn a_saturated_worker_stays_live_and_ready_though_it_answers_nothing_else() {
    // It answered once, and then takes connections without an answer.
    let first = std::sync::atomic::AtomicBool::new(true);
    let model =
        Model::new(move |_| if first.swap(false, std::sync::atomic::Ordering::SeqCst) { ok("\n") } else { Vec::new() });
    let model = model.await;
    let world = world(&model.address, |options| options.rules.period = Duration::from_millis(20));
    until("up", async || world.probe("/ready").await == 200).await;
    let request = world.drain.enter();
    let idle = rules().period * rules().silent_periods * 2;
    let start = Instant::now();
    while start.elapsed() < idle {
        assert_eq!((world.probe("/live").await, world.probe("/ready").await), (200, 200));
    }
    drop(request);
    until("not ready when nobody waits and nothing is answered", async || world.probe("/ready").await == 503).await;
    until("ready when a request is answered", async || {
        world.health.answered();
        world.probe("/ready").await == 200
    })
    .await;
}

#[tokio::test]
async fn an_unknown_path_says_what_there_is() {
    let world = world(&nowhere().await, |_| {});
    let (status, list) = world.get(&world.probes, "/nothing").await;
    assert_eq!(status, 404);
    for path in ["/startup", "/live", "/ready", "/healthz", "/drained"] {
        assert!(list.contains(path), "{list}");
    }
    let (status, list) = world.get(&world.metrics, "/").await;
    assert!(status == 404 && list.contains("/metrics"), "{list}");
}

#[tokio::test]
async fn the_page_has_the_models_metrics_and_pythons_beside_ours() {
    let python = TempDir::new().unwrap();
    std::fs::write(python.path().join("python-1-1.prom"), "# TYPE python_gc_total counter\npython_gc_total 3\n")
        .unwrap();
    let model = Model::new(|path| match path {
        "/own" => ok("# TYPE their_total counter\ntheir_total 4\nmodel_up 7\npython_gc_total 9\n"),
        _ => ok("\n"),
    });
    let model = model.await;
    let address = model.address.clone();
    let world = world(&model.address, |options| {
        options.model_metrics = Some((address, PathAndQuery::from_static("/own")));
        options.python_metrics = Some(python.path().to_owned());
    });
    until("up", async || world.page().await.contains("\nmodel_up 1\n")).await;
    let page = world.page().await;
    assert!(page.contains("\ntheir_total 4\n") && page.contains("\npython_gc_total 3\n"), "{page}");
    assert!(!page.contains("model_up 7") && !page.contains("python_gc_total 9"), "{page}");
    let clashes = "modelship_exporter_model_metrics_dropped_total{reason=\"clash\"}";
    assert!(page.contains(clashes) && !page.contains(&format!("{clashes} 0\n")), "{page}");
    let kind =
        fetch::get(&world.metrics, &PathAndQuery::from_static("/metrics"), &[], None, LONG).await.unwrap().headers;
    assert_eq!(kind["content-type"], "text/plain; version=0.0.4");
}

#[test]
fn every_series_is_there_at_the_start() {
    let registry = Registry::new();
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        metrics: listen(),
        probes: listen(),
        model: "127.0.0.1:1".into(),
        health_path: None,
        model_metrics: None,
        python_metrics: None,
        shared_proc: None,
        settings: "/nowhere".into(),
        rules: rules(),
        startup_patience: Duration::ZERO,
        longest_end: Duration::ZERO,
    };
    drop(Life::new(options, Arc::new(|_| Ok(())), &registry).unwrap());
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let shown: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let dropped = |reason: &str| format!("modelship_exporter_model_metrics_dropped_total{{reason=\"{reason}\"}} 0");
    let mut expected = vec!["model_up 0".to_owned()];
    expected.extend(["generation", "valid"].map(|name| format!("modelship_exporter_config_{name} 0")));
    expected.extend(["clash", "line", "malformed", "refused", "too_big", "unreachable"].map(dropped));
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn at_the_end_it_stays_ready_until_the_proxy_is_done_and_answers_who_waits() {
    let model = Model::new(|_| ok("\n")).await;
    // What one check has shown holds to the end of the test, however busy the machine is.
    let world = world(&model.address, |options| options.rules.period = Duration::from_secs(3600));
    until("started", async || world.probe("/startup").await == 200).await;
    world.signals.unbounded_send(()).unwrap();
    world.drain.begun().await;
    let probes = world.probes.clone();
    let waiting = tokio::spawn(async move {
        fetch::get(&probes, &PathAndQuery::from_static("/drained"), &[], Some(99), LONG).await.unwrap()
    });
    assert_eq!((world.probe("/ready").await, world.probe("/live").await), (200, 200));
    assert!(world.page().await.contains("\nmodel_up 1\n"));
    assert!(!waiting.is_finished() && !world.task.is_finished());
    world.drain.finish();
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"drained\n"[..]));
    assert_eq!(world.ended().await, End::Drained);
}

#[tokio::test]
async fn when_nobody_asks_it_ends_a_short_while_later() {
    let world = world(&nowhere().await, |_| {});
    world.signals.unbounded_send(()).unwrap();
    world.drain.begun().await;
    world.drain.finish();
    let start = Instant::now();
    assert_eq!(world.ended().await, End::Drained);
    assert!(start.elapsed() < LINGER + Duration::from_secs(2));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let world = world(&nowhere().await, |_| {});
    let request = world.drain.enter();
    world.signals.unbounded_send(()).unwrap();
    world.drain.begun().await;
    world.signals.unbounded_send(()).unwrap();
    assert_eq!(world.ended().await, End::AtOnce);
    drop(request);
}

#[tokio::test]
async fn the_end_is_bounded_whatever_is_under_way() {
    let world = world(&nowhere().await, |options| options.longest_end = Duration::from_millis(50));
    let _request = world.drain.enter();
    world.signals.unbounded_send(()).unwrap();
    assert_eq!(world.ended().await, End::OutOfTime);
}

#[tokio::test(start_paused = true)]
async fn without_a_sigterm_within_two_seconds_the_model_is_ended_at_once() {
    let probes = probes();
    let start = tokio::time::Instant::now();
    assert_eq!(probes.drained().await.status(), StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    // It does not count as the question at the end of the pod.
    assert!(probes.asked.wait().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_sigterm_that_comes_within_two_seconds_is_waited_for() {
    let probes = probes();
    let mut answer = std::pin::pin!(probes.drained());
    assert!(answer.as_mut().now_or_never().is_none());
    tokio::time::advance(Duration::from_millis(1900)).await;
    probes.drain.begin();
    assert!(answer.as_mut().now_or_never().is_none());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(answer.as_mut().now_or_never().is_none());
    probes.drain.finish();
    assert_eq!(answer.await.status(), StatusCode::OK);
}

fn probes() -> Probes {
    let health = Health::new(Clock::new());
    let silence = Silence::new(Path::new(TABLES), [], None);
    let check = Check { model: "127.0.0.1:1".into(), path: None, health: health.clone(), silence };
    let (drain, asked) = (Drain::new(), Asked::default());
    Probes { health, drain, check, rules: rules(), patience: Duration::ZERO, asked }
}

#[tokio::test]
async fn signals_of_the_system_are_received() {
    // Only this test listens to them; its listening also keeps them from ending the test.
    let mut signals = std::pin::pin!(signals().unwrap());
    for name in ["-TERM", "-INT", "-TERM"] {
        let own = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args([name, &own]).status().unwrap().success());
        assert_eq!(tokio::time::timeout(LONG, signals.next()).await.unwrap(), Some(()));
    }
}

#[tokio::test]
async fn what_the_probes_ask_is_no_answer_of_the_model_to_a_request() {
    let model = Model::new(|_| ok("\n")).await;
    let world = world(&model.address, |_| {});
    until("up", async || world.probe("/ready").await == 200).await;
    let Evidence { answered, in_flight, .. } = world.health.evidence(world.drain.in_flight() > 0);
    assert_eq!((answered, in_flight), (None, false));
    assert!(!world.registry.gather().iter().any(|family| family.name().starts_with("http_")));
}

#[tokio::test]
async fn whatever_hangs_on_either_port_probes_and_scrapes_are_answered_within_a_second() {
    // The model's own page hangs, too.
    let model = Model::new(|_| Vec::new()).await;
    let address = model.address.clone();
    let world = world(&model.address, |options| {
        options.model_metrics = Some((address, PathAndQuery::from_static("/own")));
    });
    let heads = ["", "GET /metrics HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\n\r\n", "GET /drained HTTP/1.1\r\n\r\n"];
    let mut hanging = Vec::new();
    for head in heads {
        for address in [&world.metrics, &world.probes] {
            for _ in 0..300 {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
                hanging.push(stream);
            }
        }
        for path in ["/healthz", "/live", "/ready"] {
            let path = PathAndQuery::from_static(path);
            let answer = fetch::get(&world.probes, &path, &[], None, Duration::from_secs(1)).await;
            assert!(answer.is_ok(), "{path} after {head:?}: {answer:?}");
        }
    }
    drop(hanging);
    assert!(world.page().await.contains("\nmodel_up "));
}

#[tokio::test]
async fn many_scrapes_at_once_do_not_hold_up_a_probe() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    const SCRAPES: usize = 40;
    let world = world(&nowhere().await, |_| {});
    let options = prometheus::Opts::new("wide", "A page that takes its time.");
    let wide = prometheus::IntGaugeVec::new(options, &["of"]).unwrap();
    (0..5000).for_each(|of| wide.with_label_values(&[&of.to_string()]).set(of));
    world.registry.register(Box::new(wide)).unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let scrapes = (0..SCRAPES).map(|_| {
        let (metrics, done) = (world.metrics.clone(), done.clone());
        tokio::spawn(async move {
            let path = PathAndQuery::from_static("/metrics");
            fetch::get(&metrics, &path, &[], Some(1 << 20), LONG).await.unwrap();
            done.fetch_add(1, SeqCst);
        })
    });
    let scrapes: Vec<_> = scrapes.collect();
    until("the first page", async || done.load(SeqCst) > 0).await;
    assert_eq!(world.probe("/healthz").await, 200);
    assert!(done.load(SeqCst) < SCRAPES, "the probe came last");
    futures::future::join_all(scrapes).await;
}
