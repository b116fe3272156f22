//! What `sitecustomize.py` writes, one file for each Python process, added up.
//!
//! The directory is the model's to write, so nothing in it is trusted: names, sizes and numbers are bounded, links and
//! devices are not opened, and only families called `python_…` are taken.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::exposition::{Family, Format, Kind, Sample, parse};

const MOST_FILES: usize = 512;
const LARGEST_FILE: u64 = 64 << 10;
const MOST_FAMILIES: usize = 32;
/// Of all counters together, and of each gauge.
const MOST_SERIES: usize = 512;
/// A process writes every 5 s while it lives. One that holds Python's lock for long looks dead meanwhile: its gauges
/// are left out, its counters stay.
const STALE: Duration = Duration::from_secs(60);

/// Reads the directory.
pub(super) struct PythonPages {
    directory: PathBuf,
    /// `/proc`, where the namespace of processes is shared.
    processes: Option<PathBuf>,
    /// Counters by series: they never fall, though processes end.
    totals: HashMap<String, f64>,
    /// The last value of each counter, by file.
    last: HashMap<String, HashMap<String, f64>>,
}

impl PythonPages {
    /// `processes` is `/proc` in a shared PID namespace, where it tells which processes have ended.
    pub fn new(directory: &Path, processes: Option<&Path>) -> Self {
        Self {
            directory: directory.to_owned(),
            processes: processes.map(Path::to_owned),
            totals: HashMap::new(),
            last: HashMap::new(),
        }
    }

    /// All processes together, and how many files could not be read as they should.
    pub fn families(&mut self, now: SystemTime) -> (Vec<Family>, usize) {
        let (mut sums, mut malformed) = (BTreeMap::new(), 0);
        let mut last = std::mem::take(&mut self.last);
        for (name, pid) in self.files() {
            let (families, modified) = match self.read(&name) {
                Ok(Some(read)) => read,
                Ok(None) => {
                    malformed += 1;
                    continue;
                }
                // Replaced or removed meanwhile.
                Err(_) => continue,
            };
            let old = now.duration_since(modified).is_ok_and(|age| age > STALE);
            let lives = !old && self.processes.as_ref().is_none_or(|proc| proc.join(pid.to_string()).exists());
            let known = last.remove(&name);
            let counted = self.add(&families, known, lives, &mut sums);
            self.last.insert(name, counted);
        }
        (self.shown(sums), malformed)
    }

    /// Adds one file's families, and gives the counters that it had.
    fn add(
        &mut self,
        families: &[Family],
        known: Option<HashMap<String, f64>>,
        lives: bool,
        sums: &mut BTreeMap<String, Sum>,
    ) -> HashMap<String, f64> {
        let mut counted = HashMap::new();
        for family in families {
            let Family { name, kind, help, samples } = family;
            if sums.len() >= MOST_FAMILIES && !sums.contains_key(name) {
                continue;
            }
            let sum = sums.entry(name.clone()).or_insert_with(|| Sum {
                kind: *kind,
                help: help.clone(),
                values: BTreeMap::new(),
            });
            for sample in samples.iter().filter(|_| sum.kind == *kind) {
                let series = sample.series();
                if *kind == Kind::Counter {
                    // What ended before the exporter looked for the first time is not this time's.
                    let before = known.as_ref().map_or(if lives { 0.0 } else { sample.value }, |known| {
                        known.get(series).copied().unwrap_or(0.0)
                    });
                    if self.totals.len() < MOST_SERIES || self.totals.contains_key(series) {
                        *self.totals.entry(series.to_owned()).or_default() += (sample.value - before).max(0.0);
                        sum.values.insert(series.to_owned(), 0.0);
                        counted.insert(series.to_owned(), sample.value.max(before));
                    }
                } else if lives && sum.values.len() < MOST_SERIES {
                    let value = sum.values.entry(series.to_owned()).or_default();
                    // What only names something is not more of it with more processes.
                    *value = if name.ends_with("_info") { sample.value } else { *value + sample.value };
                }
            }
        }
        counted
    }

    fn shown(&self, sums: BTreeMap<String, Sum>) -> Vec<Family> {
        let family = |(name, Sum { kind, help, values }): (String, Sum)| {
            let value = |(series, sum): (String, f64)| {
                let value = if kind == Kind::Counter { self.totals.get(&series).copied()? } else { sum };
                Some(Sample::new(&series, value))
            };
            Family { name, kind, help, samples: values.into_iter().filter_map(value).collect() }
        };
        sums.into_iter().map(family).filter(|family| !family.samples.is_empty()).collect()
    }

    /// File names with the process that each is of.
    fn files(&self) -> Vec<(String, u32)> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let mut files: Vec<(String, u32)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let pid = name.strip_prefix("python-")?.strip_suffix(".prom")?.split('-').next()?.parse().ok()?;
                Some((name, pid))
            })
            .take(MOST_FILES)
            .collect();
        files.sort_unstable();
        files
    }

    /// A file's families and when it was written; `None` when it is not as it should be.
    fn read(&self, name: &str) -> io::Result<Option<(Vec<Family>, SystemTime)>> {
        let file = open(&self.directory.join(name))?;
        let about = file.metadata()?;
        let mut text = Vec::new();
        if !about.is_file() || file.take(LARGEST_FILE + 1).read_to_end(&mut text)? as u64 > LARGEST_FILE {
            return Ok(None);
        }
        let read = parse(&text, Format::Text);
        let ours = |family: &Family| {
            let plain = matches!(family.kind, Kind::Counter | Kind::Gauge);
            let good = |sample: &Sample| sample.plain && sample.value.is_finite() && sample.value >= 0.0;
            family.name.starts_with("python_") && plain && family.samples.iter().all(good)
        };
        let modified = about.modified()?;
        let good = read.wrong == 0 && read.families.iter().all(ours);
        Ok(good.then_some((read.families, modified)))
    }
}

/// Families of one name.
struct Sum {
    kind: Kind,
    help: Option<String>,
    values: BTreeMap<String, f64>,
}

/// Follows no link, and does not wait for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
#[path = "tests/sitecustomize.rs"]
mod sitecustomize_tests;
#[cfg(test)]
#[path = "tests/python.rs"]
mod tests;
