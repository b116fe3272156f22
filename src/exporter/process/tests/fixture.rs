//! A directory that looks like `/proc`, of a pod whose containers share one PID namespace.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use tempfile::TempDir;

use super::{Options, Whose};

/// Long enough to be an identifier of a pod.
pub const POD: &str = "4f6e0c52-30a5-4f43-9d8e-0c8a35b7f1d7";

pub struct Proc(TempDir);

/// What one process shows. The times are in ticks of 1/100 s, memory in pages of 4096 bytes.
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub session: u32,
    pub command: &'static str,
    pub state: char,
    pub own: u64,
    pub children: u64,
    pub threads: u64,
    pub started: u64,
    pub pages: u64,
    pub container: Option<&'static str>,
    pub cgroup: &'static str,
    pub open: Option<usize>,
    pub limit: &'static str,
}

impl Process {
    pub fn new(pid: u32, parent: u32) -> Self {
        Self {
            pid,
            parent,
            session: 0,
            command: "python (v3) x",
            state: 'S',
            own: 0,
            children: 0,
            threads: 1,
            started: u64::from(pid) * 10,
            pages: 0,
            container: None,
            cgroup: "",
            open: Some(0),
            limit: "1024",
        }
    }

    pub fn in_container(pid: u32, parent: u32, name: &'static str) -> Self {
        Self { container: Some(name), ..Self::new(pid, parent) }
    }

    pub fn in_cgroup(pid: u32, parent: u32, path: &'static str) -> Self {
        Self { cgroup: path, ..Self::new(pid, parent) }
    }
}

impl Proc {
    /// Process `own` reads.
    pub fn new(own: u32) -> Self {
        let proc = Self(TempDir::new().unwrap());
        symlink(own.to_string(), proc.path("self")).unwrap();
        fs::write(proc.path("stat"), "cpu  1 2 3 4\nbtime 1700000000\nprocesses 9\n").unwrap();
        proc
    }

    /// The sandbox, and the exporter as process 9 with three open files.
    pub fn pod() -> Self {
        let proc = Self::new(9);
        proc.put(&Process { command: "pause", ..Process::new(1, 0) });
        proc.put(&Process { open: Some(3), own: 50, pages: 2, ..Process::in_container(9, 0, "modelship-exporter") });
        proc
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub fn put(&self, process: &Process) {
        let Process { pid, parent, session, command, state, own, children, threads, started, pages, .. } = process;
        let at = self.path(&pid.to_string());
        fs::create_dir_all(&at).unwrap();
        let stat = format!(
            "{pid} ({command}) {state} {parent} {pid} {session} 0 -1 0 1 2 3 4 {own} 0 {children} 0 20 0 {threads} 0 \
             {started} 8192 {pages} 18446744073709551615 1 1\n"
        );
        fs::write(at.join("stat"), stat).unwrap();
        let mounts = process.container.map_or_else(String::new, |name| {
            format!(
                "1 2 0:9 / / rw - overlay overlay rw\n\
                 3 1 8:1 /var/lib/kubelet/pods/{POD}/etc-hosts /etc/hosts rw - ext4 /dev/a rw\n\
                 4 1 8:1 /var/lib/kubelet/pods/{POD}/containers/{name}/1d2f /dev/termination-log rw - ext4 /dev/a rw\n"
            )
        });
        fs::write(at.join("mountinfo"), mounts).unwrap();
        fs::write(at.join("cgroup"), process.cgroup).unwrap();
        let limits = format!(
            "Limit Soft Hard Units\nMax processes 7 7 processes\nMax open files {} 4096 files\n",
            process.limit
        );
        fs::write(at.join("limits"), limits).unwrap();
        match process.open {
            Some(open) => fs::write(at.join("fd"), vec![b'x'; open]).unwrap(),
            None => drop(fs::remove_file(at.join("fd"))),
        }
    }

    pub fn end(&self, pid: u32) {
        fs::remove_dir_all(self.path(&pid.to_string())).unwrap();
    }

    /// Every look is a new one.
    pub fn options(&self, container: &str) -> Options {
        Options {
            root: self.0.path().to_owned(),
            whose: Whose::Container(container.to_owned()),
            good_for: std::time::Duration::ZERO,
        }
    }
}
