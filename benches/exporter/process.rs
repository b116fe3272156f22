//! A process under measurement: what it has used, from /proc, and its end.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Resident memory of a process, MiB.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// With the pages of program and libraries that it has touched, and others beside them: they are the page cache's,
    /// shared by all processes that run the same file.
    pub all: f64,
    /// Without them.
    pub own: f64,
}

/// A running process. It is killed when dropped.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts it with a log of its own, and notes its id for whoever cleans up should this program be killed.
    pub fn start(name: &'static str, folder: &Path, mut command: Command) -> Self {
        let log = File::create(folder.join(format!("{name}.log"))).expect("a log");
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut ids = std::fs::read_to_string(folder.join("pids")).unwrap_or_default();
        ids.push_str(&format!("{}\n", child.id()));
        super::setting::write(&folder.join("pids"), &ids);
        Self { name, child }
    }

    /// # Errors
    /// When it has ended.
    pub fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("{} has ended ({ended:?}); see its log", self.name)),
        }
    }

    /// CPU time of all its threads so far, in user space and in the kernel. The scheduler's own count: `stat` of the
    /// process is too coarse, it counts in hundredths of a second. None of the contestants ends threads.
    pub fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process runs");
        let nanoseconds = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Resident memory.
    pub fn resident(&self) -> Resident {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let mebibytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of /proc/PID/status");
            line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of kB") / 1024.0
        };
        Resident { all: mebibytes("VmRSS:"), own: mebibytes("RssAnon:") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or cannot be ended: neither can be mended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
