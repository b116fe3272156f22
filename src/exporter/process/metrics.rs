//! The series about processes, read on scrape.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{
    Counter, Gauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    reading::{Reader, Usage},
    whose::Whose,
};

/// Where to look, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// `/proc`, or a directory like it.
    pub root: PathBuf,
    pub whose: Whose,
    /// A look is good for this long, so that ten scrapers cost no more than one.
    pub good_for: Duration,
}

impl Options {
    /// The model's container by its name, in the pod's shared PID namespace.
    pub fn container(name: &str) -> Self {
        Self { root: "/proc".into(), whose: Whose::Container(name.to_owned()), good_for: Duration::from_secs(1) }
    }
}

/// Names and meanings of all series of this room: some are absent where they cannot be known.
pub const SERIES: [(&str, &str); 13] = [
    (
        "process_cpu_seconds_total",
        "CPU time of the model's processes in seconds; it goes on when processes end or the container restarts.",
    ),
    (
        "process_resident_memory_bytes",
        "Memory in use by the model's processes in bytes; what they share counts for each.",
    ),
    ("process_virtual_memory_bytes", "Address space of the model's processes in bytes."),
    ("process_open_fds", "Open files of the model's processes; absent on kernels before 6.2, which do not tell."),
    ("process_max_fds", "The sum of the numbers of files that the model's processes may open."),
    ("process_threads", "Threads of the model's processes."),
    ("process_start_time_seconds", "Start of the eldest of the model's processes, in seconds of Unix time."),
    ("model_processes", "Processes in the model's container."),
    (
        "modelship_exporter_model_processes_visible",
        "1 while the exporter sees the model's processes, else 0: it needs the pod's shared PID namespace.",
    ),
    ("modelship_exporter_cpu_seconds_total", "CPU time of the exporter itself in seconds."),
    ("modelship_exporter_resident_memory_bytes", "Memory in use by the exporter itself in bytes."),
    ("modelship_exporter_open_fds", "Open files of the exporter itself; absent on kernels before 6.2."),
    ("modelship_exporter_threads", "Threads of the exporter itself."),
];

/// The series of this room.
pub struct Metrics {
    state: Mutex<State>,
    good_for: Duration,
    series: Series,
}

struct State {
    reader: Reader,
    looked: Option<Instant>,
    families: Vec<MetricFamily>,
}

/// In the order of [`SERIES`].
struct Series {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_files: Gauge,
    file_limit: Gauge,
    threads: Gauge,
    started: Gauge,
    processes: Gauge,
    visible: Gauge,
    own_cpu: Counter,
    own_resident: Gauge,
    own_open_files: Gauge,
    own_threads: Gauge,
}

impl Metrics {
    /// Registers the series, which are read when the registry is gathered.
    ///
    /// # Errors
    /// When a name is taken on this registry.
    pub fn register(registry: &Registry, options: &Options) -> Result<(), prometheus::Error> {
        registry.register(Box::new(Self::new(options)?))
    }

    fn new(options: &Options) -> Result<Self, prometheus::Error> {
        let state = State { reader: Reader::new(options), looked: None, families: Vec::new() };
        Ok(Self { state: Mutex::new(state), good_for: options.good_for, series: Series::new()? })
    }
}

impl Series {
    fn new() -> Result<Self, prometheus::Error> {
        let [cpu, resident, address, open, limit, threads, started, processes, visible, own @ ..] = SERIES;
        let [own_cpu, own_resident, own_open, own_threads] = own;
        let counter = |(name, help): (&str, &str)| Counter::new(name, help);
        let gauge = |(name, help): (&str, &str)| Gauge::new(name, help);
        Ok(Self {
            cpu: counter(cpu)?,
            resident: gauge(resident)?,
            virtual_memory: gauge(address)?,
            open_files: gauge(open)?,
            file_limit: gauge(limit)?,
            threads: gauge(threads)?,
            started: gauge(started)?,
            processes: gauge(processes)?,
            visible: gauge(visible)?,
            own_cpu: counter(own_cpu)?,
            own_resident: gauge(own_resident)?,
            own_open_files: gauge(own_open)?,
            own_threads: gauge(own_threads)?,
        })
    }

    fn all(&self) -> [&dyn Collector; 13] {
        let Self {
            cpu, resident, virtual_memory, open_files, file_limit, threads, started, processes, visible, ..
        } = self;
        let Self { own_cpu, own_resident, own_open_files, own_threads, .. } = self;
        [
            cpu,
            resident,
            virtual_memory,
            open_files,
            file_limit,
            threads,
            started,
            processes,
            visible,
            own_cpu,
            own_resident,
            own_open_files,
            own_threads,
        ]
    }

    fn families(&self, model: Option<&Usage>, own: Option<&Usage>) -> Vec<MetricFamily> {
        self.visible.set(f64::from(u8::from(model.is_some())));
        let mut families = self.visible.collect();
        let mut show = |gauge: &Gauge, value: Option<f64>| {
            if let Some(value) = value {
                gauge.set(value);
                families.append(&mut gauge.collect());
            }
        };
        if let Some(usage) = model {
            show(&self.processes, Some(usage.processes as f64));
            show(&self.resident, Some(usage.resident_bytes as f64));
            show(&self.virtual_memory, Some(usage.virtual_bytes as f64));
            show(&self.threads, Some(usage.threads as f64));
            show(&self.open_files, usage.open_files.map(|files| files as f64));
            show(&self.file_limit, usage.file_limit.map(|files| files as f64));
            show(&self.started, usage.started);
        }
        if let Some(usage) = own {
            show(&self.own_resident, Some(usage.resident_bytes as f64));
            show(&self.own_open_files, usage.open_files.map(|files| files as f64));
            show(&self.own_threads, Some(usage.threads as f64));
        }
        for (counter, usage) in [(&self.cpu, model), (&self.own_cpu, own)] {
            if let Some(usage) = usage {
                counter.inc_by(usage.cpu_seconds);
                families.append(&mut counter.collect());
            }
        }
        families
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.series.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.is_none_or(|looked| looked.elapsed() >= self.good_for) {
            let (model, own) = state.reader.look();
            state.families = self.series.families(model.as_ref(), own.as_ref());
            state.looked = Some(Instant::now());
        }
        state.families.clone()
    }
}

#[cfg(test)]
#[path = "tests/metrics.rs"]
mod tests;
