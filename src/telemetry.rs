//! Logs, metrics and health. Served from a thread of its own: a busy reconciler must not look dead to the kubelet.

use std::{
    collections::BTreeMap,
    error::Error,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use modelship_exporter::life::serve::{self, Answer, Handle, Turns, text, with_type};
pub use modelship_exporter::log::{LogFormat, log};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    histogram_opts,
};

use crate::api::conditions::shorten;

/// The operator's own metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    watch_failures: IntCounterVec,
    reconciles: Histogram,
    reconcile_failures: IntCounterVec,
    leader: IntGauge,
    synced: IntGaugeVec,
    unreadable: IntGaugeVec,
    broken_tasks: IntCounterVec,
    health: Mutex<Health>,
}

/// What keeps the controller from doing its work although it runs.
#[derive(Default)]
struct Health {
    /// Lists without which nothing is done, by kind.
    lists: BTreeMap<&'static str, List>,
    /// The task that ended by a panic; until all is begun anew.
    broken: Option<&'static str>,
}

#[derive(Default)]
struct List {
    complete: bool,
    /// Why it does not come.
    trouble: Option<String>,
}

/// Bytes of an error in the answer to a probe.
const TROUBLE_MAX: usize = 256;

impl Metrics {
    /// Registers all metrics on a fresh registry.
    ///
    /// # Errors
    /// When a name is taken twice, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let options: HistogramOpts = histogram_opts!(
            "modelship_reconcile_duration_seconds",
            "Duration of one turn of the loop for one ModelDeployment.",
            vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0]
        );
        let inner = Inner {
            requests: counter(
                "modelship_kubernetes_requests_total",
                "Requests to the Kubernetes API by verb, kind and outcome (watches and the lease left out).",
                &["verb", "kind", "outcome"],
            )?,
            watch_failures: counter("modelship_watch_failures_total", "Interrupted watches by kind.", &["kind"])?,
            reconciles: Histogram::with_opts(options)?,
            reconcile_failures: counter(
                "modelship_reconcile_failures_total",
                "Turns of the loop that must be tried again, by category.",
                &["category"],
            )?,
            leader: IntGauge::new("modelship_leader", "1 while this controller holds the lease.")?,
            synced: gauge(
                "modelship_watch_synced",
                "1 once all objects of that kind are known, 0 while their list is awaited: until all have come nothing is done. Absent without the lease.",
                &["kind"],
            )?,
            unreadable: gauge(
                "modelship_unreadable_objects",
                "Objects of that kind which cannot be decoded and are passed over: see the log.",
                &["kind"],
            )?,
            broken_tasks: counter(
                "modelship_broken_tasks_total",
                "Tasks of the controller that ended by a panic, after which it begins anew: see the log.",
                &["task"],
            )?,
            health: Mutex::default(),
            registry,
        };
        inner.registry.register(Box::new(inner.requests.clone()))?;
        inner.registry.register(Box::new(inner.watch_failures.clone()))?;
        inner.registry.register(Box::new(inner.reconciles.clone()))?;
        inner.registry.register(Box::new(inner.reconcile_failures.clone()))?;
        inner.registry.register(Box::new(inner.leader.clone()))?;
        inner.registry.register(Box::new(inner.synced.clone()))?;
        inner.registry.register(Box::new(inner.unreadable.clone()))?;
        inner.registry.register(Box::new(inner.broken_tasks.clone()))?;
        #[cfg(target_os = "linux")]
        inner.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self(Arc::new(inner)))
    }

    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub fn request(&self, verb: &str, kind: &str, outcome: &str) {
        self.0.requests.with_label_values(&[verb, kind, outcome]).inc();
    }

    /// Counts it, and notes why a list does not come.
    pub fn watch_failed(&self, kind: &str, error: &dyn Error) {
        self.0.watch_failures.with_label_values(&[kind]).inc();
        if let Some(list) = self.health().lists.get_mut(kind).filter(|list| !list.complete) {
            list.trouble = Some(shorten(&error.to_string(), TROUBLE_MAX));
        }
    }

    /// Without this list nothing is done.
    pub fn await_list(&self, kind: &'static str) {
        self.health().lists.insert(kind, List::default());
        self.0.synced.with_label_values(&[kind]).set(0);
    }

    /// A list has begun, or is complete; of kinds that nothing waits for it is no news.
    pub fn listed(&self, kind: &str, complete: bool) {
        if let Some(list) = self.health().lists.get_mut(kind) {
            list.complete = complete;
            if complete {
                list.trouble = None;
            }
            self.0.synced.with_label_values(&[kind]).set(i64::from(complete));
        }
    }

    /// This list is not allowed, and what it was awaited for goes on without it.
    pub fn forgo_list(&self, kind: &str) {
        if self.health().lists.remove(kind).is_some() {
            // It is absent already where the lease was lost meanwhile.
            let _ = self.0.synced.remove_label_values(&[kind]);
        }
    }

    pub fn unreadable(&self, kind: &str, count: usize) {
        self.0.unreadable.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A counter that first appears at 1 has no increase.
    pub fn expect_task(&self, task: &str) {
        self.0.broken_tasks.with_label_values(&[task]);
    }

    pub fn task_broke_off(&self, task: &'static str) {
        self.0.broken_tasks.with_label_values(&[task]).inc();
        self.health().broken = Some(task);
    }

    /// Why nothing is done, a sentence each; none: all is well.
    pub fn unready(&self) -> Vec<String> {
        let health = self.health();
        let broken = health.broken.map(|task| format!("the task {task} broke off; all is begun anew: see the log"));
        let awaited = health.lists.iter().filter(|(_, list)| !list.complete).map(|(kind, list)| {
            let trouble = list.trouble.as_deref().unwrap_or("it is awaited");
            format!("the list of {kind} objects has not come: {trouble}")
        });
        broken.into_iter().chain(awaited).collect()
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.0.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Observes the duration when dropped.
    pub fn start_reconcile(&self) -> prometheus::HistogramTimer {
        self.0.reconciles.start_timer()
    }

    pub fn reconcile_failed(&self, category: &str) {
        self.0.reconcile_failures.with_label_values(&[category]).inc();
    }

    pub fn leads(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
        let mut health = self.health();
        health.lists.clear();
        self.0.synced.reset();
        self.0.unreadable.reset();
        if leads {
            health.broken = None;
        }
    }

    /// All metrics with labels, which the page shows only once there is something to tell.
    pub fn descriptions(&self) -> Vec<Desc> {
        let Inner { requests, watch_failures, reconcile_failures, synced, unreadable, broken_tasks, .. } = &*self.0;
        let counters =
            [requests, watch_failures, reconcile_failures, broken_tasks].into_iter().flat_map(Collector::desc);
        counters.chain([synced, unreadable].into_iter().flat_map(Collector::desc)).cloned().collect()
    }

    /// The metrics page in the Prometheus text format.
    pub fn page(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut page)?;
        Ok(page)
    }
}

/// Serves `/metrics`, `/healthz` and `/readyz` on a thread of its own, for as long as the process lives. At `[::]` it is
/// reached by IPv4 as well, and by that alone where there is no IPv6.
///
/// # Errors
/// When the address cannot be bound.
pub fn serve(address: SocketAddr, metrics: Metrics) -> std::io::Result<()> {
    serve_on(serve::listen(address)?, metrics)
}

fn serve_on(listener: TcpListener, metrics: Metrics) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    std::thread::Builder::new().name("telemetry".into()).spawn(move || {
        let never = tokio::sync::watch::Sender::new(false);
        runtime.block_on(serve::serve(listener, Page { metrics, turns: Turns::default() }, never.subscribe()));
    })?;
    Ok(())
}

struct Page {
    metrics: Metrics,
    turns: Turns,
}

impl Handle for Page {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        match request.uri().path() {
            // A controller that waits for the lease is ready to take it: with one replica there is nobody else to route to.
            "/healthz" => text(StatusCode::OK, "ok"),
            "/readyz" => match self.metrics.unready() {
                why if why.is_empty() => text(StatusCode::OK, "ok"),
                why => text(StatusCode::SERVICE_UNAVAILABLE, &why.join("\n")),
            },
            "/metrics" => {
                let _turn = self.turns.next().await;
                match self.metrics.page() {
                    Ok(page) => with_type(StatusCode::OK, prometheus::TEXT_FORMAT, page),
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
                }
            }
            _ => text(StatusCode::NOT_FOUND, "nothing is here; there are:\n/metrics\n/healthz\n/readyz"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_registered_once_and_shown() {
        let metrics = Metrics::new().unwrap();
        metrics.request("apply", "Deployment", "ok");
        metrics.leads(true);
        let page = String::from_utf8(metrics.page().unwrap()).unwrap();
        assert!(
            page.contains(r#"modelship_kubernetes_requests_total{kind="Deployment",outcome="ok",verb="apply"} 1"#),
            "{page}"
        );
        assert!(page.contains("modelship_leader 1"));
    }

    fn get(address: SocketAddr, path: &str) -> String {
        use std::{
            io::{Read as _, Write as _},
            net::TcpStream,
            time::Duration,
        };
        let mut probe = TcpStream::connect(address).unwrap();
        probe.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(probe, "GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_is_ready_while_it_waits_for_the_lease_and_once_all_lists_have_come_and_says_what_is_missing() {
        let listener = serve::listen("[::]:0".parse().unwrap()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let metrics = Metrics::new().unwrap();
        serve_on(listener, metrics.clone()).unwrap();
        let ready = || get(address, "/readyz");
        assert!(ready().starts_with("HTTP/1.1 200"), "it waits for the lease");
        metrics.leads(true);
        metrics.await_list("Service");
        metrics.await_list("Pod");
        metrics.watch_failed("Service", &std::io::Error::other("services is forbidden"));
        metrics.watch_failed("Prometheus", &std::io::Error::other("nothing waits for it"));
        metrics.listed("Pod", true);
        metrics.listed("Prometheus", false);
        let answer = ready();
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("list of Service") && answer.contains("forbidden"),
            "{answer}"
        );
        assert!(!answer.contains("Pod") && !answer.contains("Prometheus"), "{answer}");
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"), "a restart would not help");
        metrics.listed("Service", true);
        assert!(ready().starts_with("HTTP/1.1 200"));
        metrics.listed("Service", false);
        assert!(ready().contains("it is awaited"), "what once kept it away is past: {}", ready());
        metrics.forgo_list("Service");
        metrics.listed("Service", false);
        assert!(ready().starts_with("HTTP/1.1 200"), "it is done without");
        metrics.unreadable("Pod", 2);
        assert!(get(address, "/metrics").contains(r#"modelship_unreadable_objects{kind="Pod"} 2"#));
        metrics.task_broke_off("readings");
        metrics.leads(false);
        assert!(ready().contains("the task readings"), "{}", ready());
        metrics.leads(true);
        assert!(ready().starts_with("HTTP/1.1 200"));
        let page = get(address, "/metrics");
        assert!(page.contains(r#"modelship_broken_tasks_total{task="readings"} 1"#), "{page}");
        for known in ["modelship_watch_synced{", "modelship_unreadable_objects{"] {
            assert!(!page.contains(known), "what another controller knows is not told: {page}");
        }
    }

    #[test]
    fn whoever_hangs_on_the_port_keeps_no_probe_out_and_goes() {
        use std::{
            io::{Read as _, Write as _},
            net::TcpStream,
            time::Duration,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        serve_on(listener, Metrics::new().unwrap()).unwrap();
        let mut hanging: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut probe = TcpStream::connect(address).unwrap();
        probe.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        probe.write_all(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
        hanging[0].set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let ended = hanging[0].read(&mut [0]);
        let waited_in_vain = ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!waited_in_vain, "the longest idle one is closed");
    }
}
