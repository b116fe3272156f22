//! Settings that may change at run time, from a file in a mounted directory.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prometheus::{IntGauge, Registry};
use serde::Deserialize;
use tokio::sync::watch;

/// The file's name within the directory.
const FILE: &str = "settings.json";
/// A ConfigMap can hold no more.
const LARGEST: u64 = 1 << 20;
/// Between looks. A mounted ConfigMap follows its object within about a minute, so this adds little.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const MOST_ALIASES: usize = 256;

/// What may change while the exporter runs. Unknown fields are ignored: an older exporter may meet newer settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Which version of the settings this is, told back in a metric.
    pub generation: u64,
    /// Paths that clients ask for → paths that the model knows.
    pub aliases: BTreeMap<String, String>,
    /// How predictions are read; the reading room knows its shape.
    pub predictions: serde_json::Value,
}

/// Whether the reading room can read by these settings; the message says what is wrong, where, and how to mend it.
pub type Validate = Arc<dyn Fn(&Settings) -> Result<(), String> + Send + Sync>;

/// Follows the file.
pub(super) struct Follower {
    file: PathBuf,
    validate: Validate,
    sender: watch::Sender<Arc<Settings>>,
    seen: Option<Mark>,
    valid: IntGauge,
    generation: IntGauge,
}

/// What shows that a file is another one: a mounted ConfigMap swaps a link beside it.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Absent,
    There { link: Option<PathBuf>, inode: u64, size: u64, modified: (i64, i64) },
}

impl Follower {
    /// Reads the file for the first time. Whatever is wrong with it is told by metrics and the log: the exporter
    /// forwards requests all the same.
    pub fn new(directory: &Path, validate: Validate, registry: &Registry) -> Result<Self, prometheus::Error> {
        let valid = IntGauge::new(
            "modelship_exporter_config_valid",
            "1 when the settings found are in use, 0 when they are missing or wrong and the last good ones are.",
        )?;
        let generation = IntGauge::new(
            "modelship_exporter_config_generation",
            "Version of the settings in use, 0 when there have been none yet.",
        )?;
        registry.register(Box::new(valid.clone()))?;
        registry.register(Box::new(generation.clone()))?;
        let sender = watch::Sender::new(Arc::default());
        let file = directory.join(FILE);
        let mut follower = Self { file, validate, sender, seen: None, valid, generation };
        follower.look();
        Ok(follower)
    }

    pub fn receiver(&self) -> watch::Receiver<Arc<Settings>> {
        self.sender.subscribe()
    }

    /// Looks again and again, for ever.
    pub async fn follow(mut self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look();
        }
    }

    /// Reads the file if it is not the one seen last.
    fn look(&mut self) {
        let mark = Mark::of(&self.file);
        if self.seen.as_ref() == Some(&mark) {
            return;
        }
        let (at, was) = (self.file.display(), self.sender.borrow().generation);
        match self.read() {
            Ok(settings) => {
                tracing::info!(file = %at, generation = settings.generation, "settings are in use");
                self.valid.set(1);
                self.generation.set(i64::try_from(settings.generation).unwrap_or(i64::MAX));
                let settings = Arc::new(settings);
                self.sender.send_if_modified(|now| {
                    let changed = *now != settings;
                    *now = settings;
                    changed
                });
            }
            Err(problem) => {
                tracing::warn!(file = %at, %problem, generation = was, "settings cannot be used, the last good stay");
                self.valid.set(0);
            }
        }
        self.seen = Some(mark);
    }

    fn read(&self) -> Result<Settings, String> {
        let mut text = Vec::new();
        let open = File::open(&self.file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
        open.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "there is no such file; the operator mounts it from a ConfigMap".to_owned(),
            _ => format!("it cannot be read: {error}"),
        })?;
        if text.len() as u64 > LARGEST {
            return Err(format!("it is larger than {LARGEST} bytes"));
        }
        // A list would do for the deserializer, each of its entries being missing.
        if text.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err("it is no JSON object; write for example {\"generation\": 1}".to_owned());
        }
        let settings = serde_json::from_slice(&text).map_err(|error| format!("it is not as expected: {error}"))?;
        check_aliases(&settings)?;
        (self.validate)(&settings)?;
        Ok(settings)
    }
}

fn check_aliases(settings: &Settings) -> Result<(), String> {
    if settings.aliases.len() > MOST_ALIASES {
        return Err(format!("aliases has {} entries, at most {MOST_ALIASES} are possible", settings.aliases.len()));
    }
    for path in settings.aliases.iter().flat_map(|(from, to)| [from, to]) {
        let is_path = path.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.query().is_none());
        if !is_path || !path.starts_with('/') || path.contains('#') {
            return Err(format!("aliases: {path:?} is no path; write for example {{\"/predict\": \"/invocations\"}}"));
        }
    }
    Ok(())
}

impl Mark {
    fn of(file: &Path) -> Self {
        let Ok(about) = fs::metadata(file) else { return Self::Absent };
        Self::There {
            link: file.parent().and_then(|directory| fs::read_link(directory.join("..data")).ok()),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
        }
    }
}

#[cfg(test)]
#[path = "tests/settings.rs"]
mod tests;
