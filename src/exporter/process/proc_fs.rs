//! Reads and parses files below `/proc`. A process may vanish at any moment, so every answer is an `Option`.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// More than any file read here holds; a container with hundreds of mounts has some 100 KiB of them.
const LARGEST_FILE: u64 = 512 << 10;
/// A pod has at most as many processes as its node's limit; beyond this the sums would cost more than they tell.
const MOST_PROCESSES: usize = 4096;

/// One line of `/proc/PID/stat`; times are in clock ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub pid: u32,
    pub parent: u32,
    pub session: u32,
    /// Ended, but not yet waited for: it uses nothing more, only its CPU time still counts.
    pub ended: bool,
    /// CPU time of the process itself.
    pub own_ticks: u64,
    /// CPU time of children that ended and were waited for, with theirs.
    pub children_ticks: u64,
    pub threads: u64,
    /// Clock ticks after the start of the machine; with `pid` it names a process for ever.
    pub started: u64,
    pub virtual_bytes: u64,
    pub resident_pages: u64,
}

/// Files below a directory that looks like `/proc`.
#[derive(Clone, Debug)]
pub(super) struct ProcFs(PathBuf);

impl ProcFs {
    pub fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The process that reads.
    pub fn own_pid(&self) -> Option<u32> {
        fs::read_link(self.0.join("self")).ok()?.file_name()?.to_str()?.parse().ok()
    }

    pub fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.flatten().filter_map(pid).take(MOST_PROCESSES).collect()
    }

    pub fn stat(&self, pid: u32) -> Option<Stat> {
        parse_stat(&self.read(pid, "stat")?).filter(|stat| stat.pid == pid)
    }

    /// The container's name, as the kubelet's mounts tell it.
    pub fn container(&self, pid: u32) -> Option<String> {
        container_in_mounts(&self.read(pid, "mountinfo")?)
    }

    pub fn cgroup(&self, pid: u32) -> Option<String> {
        self.read(pid, "cgroup")
    }

    /// Open files. From kernel 6.2 on the size of the directory is their number; before, it is 0. Listing it would
    /// need the right to trace the process.
    pub fn open_files(&self, pid: u32) -> Option<u64> {
        fs::metadata(self.0.join(pid.to_string()).join("fd")).ok().map(|directory| directory.size())
    }

    /// The number of files that the process may open.
    pub fn file_limit(&self, pid: u32) -> Option<u64> {
        let limits = self.read(pid, "limits")?;
        limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    }

    /// Unix time of the machine's start, in seconds.
    pub fn boot_time(&self) -> Option<u64> {
        let stat = read_file(&self.0.join("stat"))?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    }

    /// (bytes of a page, clock ticks of a second), as the kernel told this process at its start.
    pub fn units(&self) -> (u64, u64) {
        /// Keys of the auxiliary vector, from `linux/auxvec.h`.
        const PAGE_SIZE: u64 = 6;
        const CLOCK_TICKS: u64 = 17;
        let (mut page, mut ticks) = (4096, 100);
        let words = fs::read(self.0.join("self/auxv")).unwrap_or_default();
        let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).ok().and_then(|word| word.try_into().ok());
        for pair in words.chunks_exact(2 * size_of::<usize>()) {
            let (key, value) = pair.split_at(size_of::<usize>());
            match (word(key), word(value)) {
                (Some(PAGE_SIZE), Some(value)) if value > 0 => page = value,
                (Some(CLOCK_TICKS), Some(value)) if value > 0 => ticks = value,
                _ => {}
            }
        }
        (page, ticks)
    }

    fn read(&self, pid: u32, file: &str) -> Option<String> {
        read_file(&self.0.join(pid.to_string()).join(file))
    }
}

fn read_file(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST_FILE).read_to_end(&mut bytes).ok()?;
    // Names of commands and mounts need not be UTF-8.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse_stat(line: &str) -> Option<Stat> {
    // The command's name may hold blanks and parentheses, so the fields begin after the last one.
    let (head, rest) = line.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    // The children's times are signed, and some kernels show small negative ones.
    let time = |at: usize| fields.get(at)?.parse::<i64>().ok().map(|ticks| u64::try_from(ticks).unwrap_or(0));
    Some(Stat {
        pid,
        parent: u32::try_from(number(1)?).ok()?,
        session: fields.get(3)?.parse().unwrap_or(0),
        ended: matches!(*fields.first()?, "Z" | "X" | "x"),
        own_ticks: time(11)?.saturating_add(time(12)?),
        children_ticks: time(13)?.saturating_add(time(14)?),
        threads: number(17)?,
        started: number(19)?,
        virtual_bytes: number(20)?,
        resident_pages: time(21)?,
    })
}

/// The fourth field of a line is the mounted directory or file within its file system: the kubelet mounts a termination
/// log from `…/pods/UID/containers/NAME/ID`.
fn container_in_mounts(mounts: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let mut parts = line.split(' ').nth(3)?.rsplit('/');
        let (id, name, containers, uid, pods) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let told = containers == "containers" && pods == "pods" && !id.is_empty() && uid.len() >= 32;
        told.then(|| name.to_owned())
    })
}

#[cfg(test)]
#[path = "tests/proc_fs.rs"]
mod tests;
