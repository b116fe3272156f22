//! A WebSocket through the exporter: a real client, and FastAPI under uvicorn.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use modelship_exporter::proxy::Options;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::uvicorn::{Server, Stand, proxy};

fn talk(stand: &Stand, more: &[&str]) -> Child {
    let python = std::env::var("MODELSHIP_TEST_PYTHON").expect("run these tests by 'make test' or tests/run");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/servers/talk.py");
    let mut command = Command::new(python);
    command.arg(script).arg(format!("ws://{}/talk", stand.address)).args(more);
    command.kill_on_drop(true).stdout(Stdio::piped()).spawn().expect("the client starts")
}

#[tokio::test]
async fn a_websocket_passes_and_is_counted_and_the_drain_ends_it_in_time() {
    let uvicorn = Server::uvicorn("echoing:app", &[]);
    let most = Duration::from_secs(2);
    let stand = proxy(Options {
        drain_least: Duration::ZERO,
        drain_quiet: Duration::from_millis(100),
        drain_most: most,
        ..Options::to(uvicorn.1.to_string())
    });
    assert!(talk(&stand, &[]).wait().await.expect("a client").success());
    assert!(stand.counted("GET", 101, 1), "{}", stand.page());

    let mut stays = talk(&stand, &["stays"]);
    let mut told = BufReader::new(stays.stdout.take().expect("its output")).lines();
    assert_eq!(told.next_line().await.expect("its output").as_deref(), Some("talked"));
    let begun = Instant::now();
    stand.drain.begin();
    assert!(stays.wait().await.expect("a client").success());
    assert!(begun.elapsed() >= most, "{:?}", begun.elapsed());
    assert!(stand.counted("GET", 101, 2), "{}", stand.page());
}
