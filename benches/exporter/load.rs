//! The clients: one thread with so many connections, each of which asks again as soon as it is answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::answer;

/// How long any one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Load on one address until it is stopped.
pub struct Load {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Vec<u32>, String>>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Returns once all connections have been answered once.
    ///
    /// # Errors
    /// When one is not.
    pub fn start(address: SocketAddr, connections: usize) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let (ready, wait) = mpsc::channel();
        let clients = Clients { address, request: answer::request(), shared: shared.clone(), ready };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let clients = Arc::new(clients);
                let tasks = (0..connections).map(|_| tokio::spawn(client(clients.clone())));
                let times = try_join_all(tasks.collect::<Vec<_>>()).await.map_err(|error| error.to_string())?;
                let times: Result<Vec<Vec<u32>>, String> = times.into_iter().collect();
                times.map(|times| times.concat())
            })
        });
        let load = Self { shared, thread };
        for _ in 0..connections {
            if wait.recv_timeout(PATIENCE).is_err() {
                load.shared.stop.store(true, Relaxed);
                return Err(load.stop().err().unwrap_or_else(|| format!("{address} does not answer")));
            }
        }
        Ok(load)
    }

    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Relaxed)
    }

    /// Waits for the answers under way. How many there were in all, and how long each took in nanoseconds.
    ///
    /// # Errors
    /// When an answer was wrong or missing.
    pub fn stop(self) -> Result<(u64, Vec<u32>), String> {
        self.shared.stop.store(true, Relaxed);
        let times = self.thread.join().map_err(|_| "the clients broke off".to_owned())??;
        Ok((self.shared.answered.load(Relaxed), times))
    }
}

/// What all connections share.
struct Clients {
    address: SocketAddr,
    request: Vec<u8>,
    shared: Arc<Shared>,
    ready: mpsc::Sender<()>,
}

async fn client(clients: Arc<Clients>) -> Result<Vec<u32>, String> {
    let address = clients.address;
    let told = |error: std::io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(told)?;
    stream.set_nodelay(true).map_err(told)?;
    let mut received = vec![0; 4096];
    let mut times = Vec::new();
    while times.is_empty() || !clients.shared.stop.load(Relaxed) {
        let began = Instant::now();
        stream.write_all(&clients.request).await.map_err(told)?;
        exchange(&mut stream, &mut received).await.map_err(|problem| format!("{address}: {problem}"))?;
        clients.shared.answered.fetch_add(1, Relaxed);
        if times.is_empty() {
            // Nobody waits any longer where another connection failed.
            let _ = clients.ready.send(());
        }
        times.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    Ok(times)
}

/// Reads one answer and holds it against what it should be.
async fn exchange(stream: &mut TcpStream, received: &mut [u8]) -> Result<(), String> {
    let mut length = 0;
    loop {
        let more = stream.read(&mut received[length..]).await.map_err(|error| error.to_string())?;
        if more == 0 {
            return Err(format!("closed after {length} bytes of an answer"));
        }
        length += more;
        if let Some((body, end)) = answer::length(&received[..length])?
            && length >= end
        {
            let right = received[body..length] == *answer::ANSWER.as_bytes();
            return if right { Ok(()) } else { Err("another answer than the model's".into()) };
        }
    }
}
