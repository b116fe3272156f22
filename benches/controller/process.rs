//! The operator under measurement: the real binary in a process of its own, so that what the bench itself uses is not
//! counted.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::PATIENCE;

/// Linux reports CPU times to user space in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// So many times longer than an answer takes is waited before the next question.
const SHARE: u32 = 9;
/// The turns of the loop are over when none was counted for so long.
const QUIET: Duration = Duration::from_millis(1500);

/// How the operator is started.
pub struct Recipe {
    pub binary: PathBuf,
    /// The kubeconfig of the operator's own user.
    pub kubeconfig: PathBuf,
    /// Where Docker Hub is.
    pub registry: String,
    pub log: PathBuf,
}

/// A running operator. It is killed when dropped, and its successor takes the lease at once: both have the same name.
pub struct Operator {
    child: Child,
    page: String,
    http: reqwest::Client,
    started: Instant,
}

/// Memory of a process in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident: f64,
    pub peak: f64,
}

impl Recipe {
    /// Starts the operator for one namespace and waits until it holds the lease.
    pub async fn start(&self, namespace: &str) -> Operator {
        let listen = free_address();
        let log = std::fs::File::options().create(true).append(true).open(&self.log).expect("the operator's log");
        let child = Command::new(&self.binary)
            .args(["controller", "--namespace", namespace, "--lease-namespace", "modelship-system"])
            .args(["--identity", "bench", "--listen", &listen.to_string()])
            .args(["--registry-mirror", &format!("docker.io={}?upstream=never", self.registry)])
            .args(["--exporter-image", super::bare::EXPORTER_IMAGE])
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the operator's binary starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let page = format!("http://{listen}/metrics");
        let mut operator = Operator { child, page, http, started: Instant::now() };
        while operator.metric("modelship_leader").await != Some(1.0) {
            operator.assert_patience();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        operator
    }
}

impl Operator {
    /// The value of a metric, summed over its labels.
    async fn metric(&self, name: &str) -> Option<f64> {
        let page = self.http.get(&self.page).send().await.ok()?.text().await.ok()?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = page.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.reduce(|sum, value| sum + value)
    }

    /// How many turns of the loop have ended.
    async fn turns(&self) -> u64 {
        let turns = self.metric("modelship_reconcile_duration_seconds_count").await.unwrap_or_default();
        // Counted in whole numbers far below 2^53.
        turns as u64
    }

    /// Waits until that many turns have ended, and no further one comes; returns when the last was seen to end, counted
    /// from the start of the process.
    pub async fn turned(&mut self, at_least: u64) -> (Duration, u64) {
        let (mut turns, mut last) = (0, Instant::now());
        while turns < at_least || last.elapsed() < QUIET {
            self.assert_patience();
            let asked = Instant::now();
            let now = self.turns().await;
            if now != turns {
                (turns, last) = (now, Instant::now());
            }
            // A page of thousands of series takes its time: what is measured must not be the asking.
            tokio::time::sleep(LOOK_EVERY.max(asked.elapsed() * SHARE)).await;
        }
        (last - self.started, turns)
    }

    /// CPU time so far, in user space and in the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // The second field is the program's name, in brackets, and may hold anything.
        let fields = stat.rsplit_once(") ").expect("a program's name").1;
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().expect("a number of ticks"));
        TICK * ticks.sum::<u32>()
    }

    pub fn memory(&self) -> Memory {
        let status = self.proc("status");
        let mebibytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of /proc/PID/status");
            line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of kB") / 1024.0
        };
        Memory { resident: mebibytes("VmRSS:"), peak: mebibytes("VmHWM:") }
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).expect("the operator runs")
    }

    fn assert_patience(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child process") {
            panic!("the operator has ended ({status}); see its log");
        }
        assert!(self.started.elapsed() < PATIENCE, "the operator is not there after {PATIENCE:?}; see its log");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It has ended already, or cannot be ended: neither can be mended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let probe = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    probe.local_addr().expect("an address")
}
