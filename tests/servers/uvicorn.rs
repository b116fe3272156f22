//! uvicorn as a process, and a proxy before it with the options of a model's pod.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use modelship_exporter::{
    blame::Errors,
    life::{Clock, Drain, Health, Settings},
    proxy::{Metrics, Options, Proxy, Rooms},
};
use prometheus::{Registry, TextEncoder};
use tokio::sync::watch;

/// A server on a port of its own, until this is dropped.
pub struct Server(Child, pub SocketAddr);

impl Server {
    /// Runs one of this folder's applications.
    pub fn uvicorn(application: &str, more: &[&str]) -> Self {
        let arguments = ["-m", "uvicorn", "--port", "0", "--no-access-log", application];
        Self::start(&[&arguments, more].concat(), "running on http://")
    }

    /// Runs Python in this folder, and reads where it listens after these words.
    pub fn start(arguments: &[&str], listens: &str) -> Self {
        let python = std::env::var("MODELSHIP_TEST_PYTHON").expect("run these tests by 'make test' or tests/run");
        let mut command = Command::new(python);
        // gunicorn's and hypercorn's workers are processes of their own; whoever keeps our output open is waited for.
        command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").process_group(0).stdout(Stdio::null());
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/servers"));
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
        let told = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let mut told = told.map_while(Result::ok);
        let address = told.find_map(|line| {
            let (_, address) = line.split_once(listens)?;
            address.split_whitespace().next()?.parse().ok()
        });
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || told.for_each(drop));
        Self(child, address.expect("the server says where it listens"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.0.wait());
    }
}

/// A proxy with the options of a model's pod.
pub struct Stand {
    pub address: SocketAddr,
    pub drain: Drain,
    registry: Registry,
    _settings: watch::Sender<Arc<Settings>>,
}

pub fn proxy(options: Options) -> Stand {
    let registry = Registry::new();
    let (sender, settings) = watch::channel(Arc::default());
    let drain = Drain::new();
    let rooms = Rooms {
        errors: Errors::new(&registry).expect("series"),
        health: Health::new(Clock::new()),
        drain: drain.clone(),
        settings,
        taker: None,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let metrics = Metrics::new(&registry).expect("series");
    let proxy = Proxy::new(listener, options, metrics, rooms).expect("a proxy");
    let address = proxy.address().expect("an address");
    tokio::spawn(proxy.serve());
    Stand { address, drain, registry, _settings: sender }
}

impl Stand {
    /// The metrics, as Prometheus would read them.
    pub fn page(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect("a page")
    }

    pub fn counted(&self, method: &str, code: u16, count: usize) -> bool {
        self.page().contains(&format!("http_requests_total{{code=\"{code}\",method=\"{method}\"}} {count}\n"))
    }
}
