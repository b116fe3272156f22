//! Names and ports that pods, and other versions of Modelship, depend on: nothing here changes once it has been released.

/// The model's container; its processes are those that `process_*` is about.
pub const MODEL_CONTAINER: &str = "model";

/// Where the exporter takes requests, in every pod.
pub const EXPORTER_HTTP: u16 = 9800;
/// Where the exporter shows its metrics.
pub const EXPORTER_METRICS: u16 = 9801;
/// Where the exporter answers probes and `/drained`.
pub const EXPORTER_PROBES: u16 = 9802;
pub const EXPORTER_PORTS: [u16; 3] = [EXPORTER_HTTP, EXPORTER_METRICS, EXPORTER_PROBES];
