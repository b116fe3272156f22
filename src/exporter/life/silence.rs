//! What the model's port says while it does not say that the model is well, and who else listens in the pod: with a wrong
//! port or health path everything else looks like a model that is still loading. No one reads the body of a probe's answer,
//! so the page tells it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use http::StatusCode;
use prometheus::{
    IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::names::EXPORTER_PORTS;

/// Of the kernel's tables the beginning is read: listening sockets come before all connections. A line has 150 bytes.
const LARGEST_TABLE: u64 = 64 << 10;
/// The first port that the kernel gives to whoever asks for any (`net.ipv4.ip_local_port_range`). From here on up are helpers
/// that models open while they load, such as torch's TCPStore and Ray's: they are not where a model serves.
const EPHEMERAL: u16 = 32768;
/// Ports that are named: more than that are no help to anybody.
const MOST_NAMED: usize = 8;

/// The series, which is absent while there is nothing to tell.
pub const UNWELL: &str = "modelship_exporter_model_unwell_info";
pub const UNWELL_LABELS: [&str; 2] = ["status", "listening"];
pub const UNWELL_HELP: &str = "1 while the model's port refuses connections (status is empty) or its health path answers \
                               with that status, an error; listening: up to 8 ports of the pod that are listened on, those \
                               of the exporter, of the model's metrics and from 32768 up left out. Absent while the model is well or silent.";

const WELL: u16 = 0;
/// No status of HTTP.
const REFUSED: u16 = 1;

/// What the last health check heard, and what is listened on. Cheap to clone.
#[derive(Clone)]
pub(super) struct Silence(Arc<Inner>);

struct Inner {
    heard: AtomicU16,
    /// Ports of the exporter's own, and of the model's metrics.
    known: BTreeSet<u16>,
    /// Where the model is to serve; `None` at a socket of another kind.
    model: Option<u16>,
    /// A directory like `/proc/self/net`.
    tables: PathBuf,
}

impl Silence {
    /// `known`: ports that are listened on for another reason, beside the exporter's.
    pub fn new(tables: &Path, known: impl IntoIterator<Item = u16>, model: Option<u16>) -> Self {
        let known = EXPORTER_PORTS.into_iter().chain(known).collect();
        Self(Arc::new(Inner { heard: AtomicU16::new(WELL), known, model, tables: tables.to_owned() }))
    }

    pub fn refused(&self) {
        self.0.heard.store(REFUSED, Ordering::Relaxed);
    }

    pub fn answered(&self, status: StatusCode) {
        self.0.heard.store(status.as_u16(), Ordering::Relaxed);
    }

    /// The model is well, or what it is cannot be told.
    pub fn over(&self) {
        self.0.heard.store(WELL, Ordering::Relaxed);
    }

    /// Ports of the pod that are listened on, as text: `5000,8081`. Empty where the kernel does not tell.
    pub fn listening(&self) -> String {
        let ports: BTreeSet<u16> =
            ["tcp", "tcp6"].iter().flat_map(|table| listed(&self.0.tables.join(table))).collect();
        let others = ports
            .difference(&self.0.known)
            .filter(|port| **port < EPHEMERAL || Some(**port) == self.0.model)
            .take(MOST_NAMED);
        others.map(u16::to_string).collect::<Vec<_>>().join(",")
    }

    fn heard(&self) -> Option<String> {
        match self.0.heard.load(Ordering::Relaxed) {
            WELL => None,
            REFUSED => Some(String::new()),
            status => Some(status.to_string()),
        }
    }
}

fn listed(table: &Path) -> BTreeSet<u16> {
    let mut text = String::new();
    let read = File::open(table).and_then(|file| file.take(LARGEST_TABLE).read_to_string(&mut text));
    if read.is_err() {
        return BTreeSet::new();
    }
    text.lines().filter_map(listened).collect()
}

/// The port of a line whose socket listens: `0: 0100007F:1F90 00000000:0000 0A …`.
fn listened(line: &str) -> Option<u16> {
    /// `TCP_LISTEN` of the kernel's `net/tcp_states.h`.
    const LISTENS: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (local, state) = (fields.nth(1)?, fields.nth(1)?);
    let port = local.rsplit_once(':')?.1;
    (state == LISTENS).then(|| u16::from_str_radix(port, 16).ok()).flatten()
}

/// The series, decided when somebody looks.
pub(super) struct Told {
    info: IntGaugeVec,
    silence: Silence,
}

impl Told {
    pub fn register(registry: &Registry, silence: &Silence) -> Result<(), prometheus::Error> {
        let info = IntGaugeVec::new(Opts::new(UNWELL, UNWELL_HELP), &UNWELL_LABELS)?;
        registry.register(Box::new(Self { info, silence: silence.clone() }))
    }
}

impl Collector for Told {
    fn desc(&self) -> Vec<&Desc> {
        self.info.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.info.reset();
        if let Some(status) = self.silence.heard() {
            self.info.with_label_values(&[status, self.silence.listening()]).set(1);
        }
        self.info.collect()
    }
}

#[cfg(test)]
#[path = "tests/silence.rs"]
mod tests;
