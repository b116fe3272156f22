//! What the script set up, and the files that the contestants are started with.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

use super::answer::ANSWER;

/// Below those that the machine gives to clients, so that none of them takes one in between.
const PORTS: std::ops::Range<u16> = 18600..18700;

/// What is needed of the machine.
pub struct Setting {
    /// For configuration, logs, and the ids of the processes.
    pub folder: PathBuf,
    pub nginx: PathBuf,
    /// Of an environment that has what the Flask exporter imports.
    pub python: PathBuf,
    pub modelship: PathBuf,
    /// A build of another commit, to be measured beside it.
    pub earlier: Option<PathBuf>,
}

impl Setting {
    /// As `tests/bench/exporter` says.
    pub fn from_environment(modelship: &Path, earlier: Option<&Path>) -> Self {
        let path =
            |name: &str| PathBuf::from(std::env::var(name).expect("the benchmark is run by tests/bench/exporter"));
        let build = |path: &Path| path.canonicalize().expect("the build of modelship-exporter that is to be measured");
        Self {
            folder: path("MODELSHIP_BENCH_FOLDER"),
            nginx: path("MODELSHIP_BENCH_NGINX"),
            python: path("MODELSHIP_BENCH_PYTHON"),
            modelship: build(modelship),
            earlier: earlier.map(build),
        }
    }

    /// Writes a configuration of nginx for `server`, and returns the arguments it is started with.
    pub fn nginx_configuration(&self, name: &str, server: &str) -> Vec<String> {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("    {kind}_temp_path {name}.tmp/{kind};\n"))
            .collect();
        std::fs::create_dir_all(self.folder.join(format!("{name}.tmp"))).expect("a directory for nginx");
        // One process is what one worker is; a second one, its master, would only have to be ended, too. A connection
        // that is closed after the usual 1,000 requests would be opened again by nobody but the benchmark.
        let text = format!(
            "daemon off;\nmaster_process off;\npid {name}.pid;\nevents {{ worker_connections 4096; }}\nhttp {{\n    \
             access_log off;\n    keepalive_requests 1000000000;\n{temporary}{server}}}\n"
        );
        let file = format!("{name}.conf");
        write(&self.folder.join(&file), &text);
        let prefix = format!("{}/", self.folder.display());
        ["-p", &prefix, "-c", &file, "-e", &format!("{name}.err")].map(str::to_owned).into()
    }

    /// What the operator writes for a model that nothing is said of.
    pub fn write_settings(&self) {
        let folder = self.folder.join("settings");
        std::fs::create_dir_all(&folder).expect("a directory for settings");
        write(&folder.join("settings.json"), "{\"generation\": 1}");
    }
}

/// The model: it always says the same, at once.
pub fn model(address: SocketAddr) -> String {
    format!(
        "    server {{\n        listen {address};\n        location / {{\n            default_type \
        application/json;\n            \
         return 200 '{ANSWER}';\n        }}\n    }}\n"
    )
}

/// A plain reverse proxy.
pub fn proxy(address: SocketAddr, model: SocketAddr) -> String {
    format!(
        "    upstream model {{\n        server {model};\n        keepalive 512;\n        keepalive_requests \
        1000000000;\n    \
         }}\n    server {{\n        listen {address};\n        location / {{\n            proxy_pass \
         http://model;\n            \
         proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n            \
         proxy_set_header Host $host;\n        }}\n    }}\n"
    )
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// An address nobody listens at, another one each time.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(PORTS.start);
    loop {
        let port = NEXT.fetch_add(1, Relaxed);
        assert!(PORTS.contains(&port), "no port from {} to {} is free", PORTS.start, PORTS.end - 1);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
