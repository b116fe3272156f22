//! One look at the model's processes and at the exporter itself.

use std::collections::HashMap;

use super::{
    ledger::{Key, Ledger, Ticks},
    metrics::Options,
    proc_fs::{ProcFs, Stat},
    whose::{Seen, Whose, of_model},
};

/// What processes use together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Usage {
    pub processes: u64,
    /// CPU time since the last look.
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub threads: u64,
    /// Unknown below kernel 6.2, or when it is unreadable for any of them.
    pub open_files: Option<u64>,
    /// Unknown when it is unreadable for any of them.
    pub file_limit: Option<u64>,
    /// Unix time of the eldest's start, in seconds.
    pub started: Option<f64>,
}

/// Looks again and again.
pub(super) struct Reader {
    files: ProcFs,
    whose: Whose,
    page_bytes: u64,
    ticks_per_second: u64,
    boot_time: Option<u64>,
    model: Ledger,
    own: Ledger,
    /// Container names never change, and reading mounts is dear. Holds living processes only.
    containers: HashMap<Key, String>,
}

impl Reader {
    pub fn new(options: &Options) -> Self {
        let files = ProcFs::at(&options.root);
        let (page_bytes, ticks_per_second) = files.units();
        Self {
            boot_time: files.boot_time(),
            whose: options.whose.clone(),
            page_bytes,
            ticks_per_second,
            model: Ledger::default(),
            own: Ledger::default(),
            containers: HashMap::new(),
            files,
        }
    }

    /// (the model's, the exporter's own); `None` for what cannot be seen.
    pub fn look(&mut self) -> (Option<Usage>, Option<Usage>) {
        let Some(own) = self.files.own_pid() else { return (None, None) };
        let seen = self.see();
        let model = of_model(&seen, own, &self.whose);
        // No process is without open files while it reads its own: 0 is a kernel that does not count.
        let counts_files = self.files.open_files(own).is_some_and(|open| open > 0);
        let model = model.map(|all| {
            let stats: Vec<&Stat> = all.into_iter().map(|one| &one.stat).collect();
            let grown = self.model.grown(stats.iter().map(|stat| entry(stat)));
            self.sum(&stats, grown, counts_files)
        });
        let itself = seen.iter().find(|one| one.stat.pid == own).map(|one| {
            let grown = self.own.grown([entry(&one.stat)]);
            self.sum(&[&one.stat], grown, counts_files)
        });
        (model, itself)
    }

    fn see(&mut self) -> Vec<Seen> {
        let mut known = std::mem::take(&mut self.containers);
        let mut seen = Vec::new();
        for stat in self.files.pids().into_iter().filter_map(|pid| self.files.stat(pid)) {
            let key = entry(&stat).0;
            let needed = matches!(self.whose, Whose::Container(_));
            let container = match known.remove(&key) {
                None if needed => self.files.container(stat.pid),
                known => known,
            };
            if let Some(name) = &container {
                self.containers.insert(key, name.clone());
            }
            seen.push(Seen { stat, container, cgroup: None });
        }
        // Only the way to tell containers apart without their names.
        if seen.iter().all(|one| one.container.is_none()) {
            seen.iter_mut().for_each(|one| one.cgroup = self.files.cgroup(one.stat.pid));
        }
        seen
    }

    fn sum(&self, all: &[&Stat], grown: u64, counts_files: bool) -> Usage {
        let living: Vec<&&Stat> = all.iter().filter(|stat| !stat.ended).collect();
        let total = |of: &dyn Fn(&Stat) -> u64| living.iter().fold(0_u64, |sum, stat| sum.saturating_add(of(stat)));
        // One that vanished meanwhile has none; one that still is there and unreadable makes the sum a lie.
        let files = |of: &dyn Fn(u32) -> Option<u64>| {
            living.iter().try_fold(0_u64, |sum, stat| match of(stat.pid) {
                Some(number) => sum.checked_add(number),
                None if self.files.stat(stat.pid).is_none_or(|stat| stat.ended) => Some(sum),
                None => None,
            })
        };
        let eldest = living.iter().map(|stat| stat.started).min();
        Usage {
            processes: living.len() as u64,
            cpu_seconds: self.seconds(grown),
            resident_bytes: total(&|stat| stat.resident_pages).saturating_mul(self.page_bytes),
            virtual_bytes: total(&|stat| stat.virtual_bytes),
            threads: total(&|stat| stat.threads),
            open_files: if counts_files { files(&|pid| self.files.open_files(pid)) } else { None },
            file_limit: files(&|pid| self.files.file_limit(pid)),
            started: eldest.zip(self.boot_time).map(|(ticks, boot)| boot as f64 + self.seconds(ticks)),
        }
    }

    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.ticks_per_second as f64
    }
}

fn entry(stat: &Stat) -> (Key, Ticks) {
    ((stat.pid, stat.started), Ticks { own: stat.own_ticks, children: stat.children_ticks })
}

#[cfg(test)]
#[path = "tests/reading.rs"]
mod tests;
