//! HTTP/2: what a client costs another that keeps streams and reads nothing.

use std::{
    future::poll_fn,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use h2::{RecvStream, client::SendRequest, server::SendResponse};
use http::{Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    time::{sleep, timeout},
};

use super::{
    answer::{self, ANSWER},
    print::{median, method, title},
    process::Process,
    setting::{Setting, free_address},
};

/// Streams that the other client keeps.
const STUCK: usize = 250;
/// Streams that the model takes on one connection, as servers of gRPC do.
const MODEL_STREAMS: u32 = 100;
/// Calls under way at a time of the client that is measured.
const CALLS: usize = 8;
/// Bytes of the answers that are not read.
const LARGE: usize = 1 << 20;
/// How long a call counts that the model does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints what it found in so many rounds, in each of which the client has a turn of this length alone, and one beside the other.
pub fn measure(setting: &Setting, (rounds, length): (usize, Duration)) {
    title("HTTP/2: what a client's unread streams cost another");
    method(&format!(
        "One connection with {CALLS} calls under way, each of 2.3 kB, answered at once by a model (h2, in the benchmark's process) that \
         takes {MODEL_STREAMS} streams on each connection. beside: while another client grants no window to {STUCK} streams with answers \
         of 1 MiB, and answers pings. A call that the model has not answered after {} s counts as long, and so does one answered by the exporter itself. CPU: of the exporter, per call, alone. \
         Medians of {rounds} rounds.",
        PATIENCE.as_secs()
    ));
    println!("\n{:12}{:>16}{:>16}{:>16}  aim", "", "p99 alone, µs", "p99 beside, µs", "CPU, µs");
    for (name, file, binary) in
        [("this build", "streams", Some(&setting.modelship)), ("earlier", "streams-earlier", setting.earlier.as_ref())]
    {
        let Some(binary) = binary else { continue };
        let [alone, beside, cpu] = figures(setting, file, binary, rounds, length);
        let answered = beside < PATIENCE.as_secs_f64() * 1e6;
        let verdict = if answered && beside < 2.0 * alone { "met" } else { "missed" };
        println!("{name:12}{alone:>16.0}{beside:>16.0}{cpu:>16.2}  beside < 2 × alone: {verdict}");
    }
}

/// p99 alone and beside, and CPU time, in µs.
fn figures(setting: &Setting, file: &'static str, binary: &Path, rounds: usize, length: Duration) -> [f64; 3] {
    let (model, address) = (free_address(), free_address());
    let _model = in_a_thread(move || serve(model));
    setting.write_settings();
    let mut command = Command::new(binary);
    command
        .args(["--upstream", &model.to_string(), "--listen", &address.to_string(), "--settings", "settings"])
        .args(["--metrics-listen", &free_address().to_string(), "--probes-listen", &free_address().to_string()])
        .env_clear();
    let process = Process::start(file, &setting.folder, command);
    let mut figures = [const { Vec::new() }; 3];
    let runtime = runtime();
    runtime.block_on(until_up(address));
    for turn in 0..2 * rounds {
        let stuck = (turn % 2 == 1).then(|| in_a_thread(move || keep_stuck(address)));
        let before = process.cpu();
        let times = runtime.block_on(calls(address, length));
        if stuck.is_none() {
            figures[2].push((process.cpu() - before).as_secs_f64() * 1e6 / times.len() as f64);
        }
        figures[turn % 2].push(p99(times));
    }
    figures.map(|mut values| {
        values.sort_by(f64::total_cmp);
        median(&values)
    })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Something that runs in a thread of its own until this is dropped.
struct Running {
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// Returns once the future that is made says that it is ready to be used.
fn in_a_thread<M, F>(make: M) -> Running
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = Box<dyn std::any::Any>>,
{
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let (ready, wait) = mpsc::channel();
    thread::spawn(move || {
        let runtime = runtime();
        let held = runtime.block_on(make());
        let _ = ready.send(());
        // It is over when the other half is gone.
        let _ = runtime.block_on(stopped);
        drop(held);
    });
    let _ = wait.recv();
    Running { _stop: stop }
}

/// The model.
async fn serve(address: SocketAddr) -> Box<dyn std::any::Any> {
    let listener = TcpListener::bind(address).await.expect("the model's port");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                let Ok(mut connection) = builder.max_concurrent_streams(MODEL_STREAMS).handshake(stream).await else {
                    return;
                };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond));
                }
            });
        }
    });
    Box::new(())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let large = request.uri().path() == "/large";
    if take(request.into_body()).await.is_err() {
        return;
    }
    let body = if large { Bytes::from(vec![b' '; LARGE]) } else { Bytes::from_static(ANSWER.as_bytes()) };
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
    if stream.send_data(body, true).is_ok() && large {
        let _ = poll_fn(|context| stream.poll_reset(context)).await;
    }
}

/// Reads a body to its end; how long it was.
async fn take(mut body: RecvStream) -> Result<usize, h2::Error> {
    let mut length = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        length += piece.len();
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(length)
}

async fn connect(address: SocketAddr, window: u32) -> Result<SendRequest<Bytes>, h2::Error> {
    let stream = TcpStream::connect(address).await.map_err(|_| h2::Reason::CONNECT_ERROR)?;
    stream.set_nodelay(true).map_err(|_| h2::Reason::CONNECT_ERROR)?;
    let (sender, connection) = h2::client::Builder::new().initial_window_size(window).handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(sender: &SendRequest<Bytes>, path: &str, body: Bytes) -> Result<Response<RecvStream>, h2::Error> {
    let request = Request::post(format!("http://model{path}")).header("content-type", "application/json");
    let request = request.body(()).expect("a request");
    let (answer, mut stream) = sender.clone().ready().await?.send_request(request, false)?;
    stream.send_data(body, true)?;
    answer.await
}

async fn until_up(address: SocketAddr) {
    let began = Instant::now();
    loop {
        if let Ok(sender) = connect(address, 65_535).await
            && let Ok(answer) = ask(&sender, "/invocations", Bytes::new()).await
            && answer.status() == 200
        {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "modelship-streams does not answer; see its log");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Streams whose heads have come, where all of them come.
async fn keep_stuck(address: SocketAddr) -> Box<dyn std::any::Any> {
    let sender = connect(address, 0).await.expect("a connection");
    let heads = (0..STUCK).map(|_| timeout(PATIENCE, ask(&sender, "/large", Bytes::new())));
    Box::new((join_all(heads).await, sender))
}

/// How long each call took, µs.
async fn calls(address: SocketAddr, length: Duration) -> Vec<f64> {
    let sender = connect(address, 65_535).await.expect("a connection");
    let body = Bytes::from(answer::body());
    let began = Instant::now();
    let all = join_all((0..CALLS).map(|_| async {
        let mut times = Vec::new();
        while began.elapsed() < length {
            let began = Instant::now();
            let call = async { take(ask(&sender, "/invocations", body.clone()).await?.into_body()).await };
            let right = matches!(timeout(PATIENCE, call).await, Ok(Ok(length)) if length == ANSWER.len());
            let took = if right { began.elapsed() } else { PATIENCE };
            times.push(took.as_secs_f64() * 1e6);
        }
        times
    }));
    all.await.concat()
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * 0.99) as usize]
}
