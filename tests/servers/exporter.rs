//! The exporter as a process, and a model server for it.

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
pub async fn model() -> (u16, Arc<AtomicUsize>) {
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

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_modelship-exporter");

pub struct Exporter(Child, String);

impl Exporter {
    /// On a loopback address of this process and number alone, so that no port can be taken.
    pub fn start(number: u8, model: u16, variables: &[(&str, &str)]) -> Self {
        Self::start_by(Command::new(PROGRAM), number, model, variables)
    }

    /// By a command that goes on as the exporter, with the arguments that follow its own.
    pub fn start_by(mut command: Command, number: u8, model: u16, variables: &[(&str, &str)]) -> Self {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = format!("127.{}.{high}.{low}", 99 + number);
        command.args(["--health-path=/ping", "--settings=/nonexistent"]);
        command.arg(format!("--upstream=127.0.0.1:{model}"));
        for (argument, port) in [("listen", 9800), ("metrics-listen", 9801), ("probes-listen", 9802)] {
            command.arg(format!("--{argument}={address}:{port}"));
        }
        command.envs(variables.iter().copied());
        Self(command.spawn().expect("the exporter starts"), address)
    }

    pub fn url(&self, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.1)
    }

    /// Waits until it does.
    pub async fn answers(&self) {
        let (client, deadline) = (crate::client(), Instant::now() + Duration::from_secs(60));
        while client.get(self.url(9802, "/startup")).send().await.is_err() {
            assert!(Instant::now() < deadline, "the exporter is up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The sum over all series of that name.
pub fn sum(page: &str, name: &str) -> f64 {
    let of_name =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'));
    page.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
