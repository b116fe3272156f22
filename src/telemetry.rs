//! Logs, metrics and health. Served from a thread of its own: a busy reconciler must not look dead to the kubelet.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use modelship_exporter::life::serve::{self, Answer, Handle, Turns, text, with_type};
pub use modelship_exporter::log::{LogFormat, log};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    histogram_opts,
};

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
}

impl Metrics {
    /// Registers all metrics on a fresh registry.
    ///
    /// # Errors
    /// When a name is taken twice, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
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
            registry,
        };
        inner.registry.register(Box::new(inner.requests.clone()))?;
        inner.registry.register(Box::new(inner.watch_failures.clone()))?;
        inner.registry.register(Box::new(inner.reconciles.clone()))?;
        inner.registry.register(Box::new(inner.reconcile_failures.clone()))?;
        inner.registry.register(Box::new(inner.leader.clone()))?;
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

    pub fn watch_failed(&self, kind: &str) {
        self.0.watch_failures.with_label_values(&[kind]).inc();
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
    }

    /// All metrics with labels, which the page shows only once there is something to tell.
    pub fn descriptions(&self) -> Vec<Desc> {
        let Inner { requests, watch_failures, reconcile_failures, .. } = &*self.0;
        [requests, watch_failures, reconcile_failures].into_iter().flat_map(Collector::desc).cloned().collect()
    }

    /// The metrics page in the Prometheus text format.
    pub fn page(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut page)?;
        Ok(page)
    }
}

/// Serves `/metrics`, `/healthz` and `/readyz` on a thread of its own, for as long as the process lives.
///
/// # Errors
/// When the address cannot be bound.
pub fn serve(address: SocketAddr, metrics: Metrics) -> std::io::Result<()> {
    serve_on(TcpListener::bind(address)?, metrics)
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
            "/healthz" | "/readyz" => text(StatusCode::OK, "ok"),
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
