//! A model that nobody asks has no requests, however often it is probed and scraped.

use std::{
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A model server that answers everything, and counts.
async fn model() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 20\r\n\r\n\
                 {\"predictions\": [1]}";
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

struct Exporter(Child, String);

impl Exporter {
    /// On a loopback address of this process alone, so that no port can be taken.
    fn start(model: u16) -> Self {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = format!("127.99.{high}.{low}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelship"));
        command.args(["exporter", "--health-path=/ping", "--settings=/nonexistent"]);
        command.arg(format!("--upstream=127.0.0.1:{model}"));
        for (argument, port) in [("listen", 9800), ("metrics-listen", 9801), ("probes-listen", 9802)] {
            command.arg(format!("--{argument}={address}:{port}"));
        }
        Self(command.spawn().expect("the exporter starts"), address)
    }

    fn url(&self, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.1)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The sum over all series of that name.
fn sum(page: &str, name: &str) -> f64 {
    let of_name =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'));
    page.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn probes_scrapes_and_health_checks_are_no_requests() {
    let (port, asked) = model().await;
    let exporter = Exporter::start(port);
    let client = crate::client();
    let get =
        async |port, path| client.get(exporter.url(port, path)).header("user-agent", "kube-probe/1.33").send().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while get(9802, "/startup").await.is_err() {
        assert!(Instant::now() < deadline, "the exporter is up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its own checks are 5 s apart: three of them, and each start-up probe asks the model, too.
    let (began, mut probes) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(11) {
        for (port, path) in [
            (9802, "/startup"),
            (9802, "/live"),
            (9802, "/ready"),
            (9802, "/healthz"),
            (9801, "/metrics"),
            (9800, "/ping"),
        ] {
            let answer = get(port, path).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{path}");
            probes += 1;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(probes > 100 && asked.load(SeqCst) > 50, "{probes} probes, the model was asked {asked:?} times");
    let page = async || get(9801, "/metrics").await.expect("an answer").text().await.expect("a page");
    let idle = page().await;
    for series in [
        "http_requests_total",
        "http_request_duration_seconds_count",
        "http_request_errors_total",
        "model_predictions_total",
        "model_rows_per_request_count",
        "modelship_exporter_exchanges_read_total",
        "modelship_exporter_exchanges_skipped_total",
    ] {
        assert!(idle.contains(series), "there is no {series}:\n{idle}");
        assert_eq!(sum(&idle, series), 0.0, "{series}:\n{idle}");
    }
    let request = client.post(exporter.url(9800, "/invocations")).header("content-type", "application/json");
    assert_eq!(request.body("{\"inputs\": [[1]]}").send().await.expect("an answer").status(), 200);
    assert_eq!(sum(&page().await, "http_requests_total"), 1.0, "and one that is one counts");
}
