//! A runtime that gives containers few open files, and lets them have more.

use std::{net::TcpStream, process::Command};

use crate::exporter::{Exporter, PROGRAM, model};

#[tokio::test]
async fn the_exporter_takes_all_the_files_that_it_may() {
    let (port, _) = model().await;
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256; ulimit -Hn 4096; exec \"$0\" \"$@\"", PROGRAM]);
    let exporter = Exporter::start_by(command, 5, port, &[]);
    exporter.answers().await;
    let address = exporter.url(9800, "");
    let address = address.trim_start_matches("http://");
    let idle: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    let client = crate::client();
    for (port, path) in [(9800, "/ping"), (9801, "/metrics"), (9802, "/healthz")] {
        let answer = client.get(exporter.url(port, path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path} beside {} idle clients", idle.len());
    }
}
