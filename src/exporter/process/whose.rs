//! Which processes are the model's. Pure: decides on what was read.

use std::collections::{BTreeSet, HashMap};

use super::proc_fs::Stat;

/// Where the model's processes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// In the container of this name, within the pod's shared PID namespace.
    Container(String),
    /// This process and its descendants: for a model that was started beside the exporter, without a pod.
    Tree(u32),
}

/// One process, as far as it could be read.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub stat: Stat,
    /// The container's name, when the kubelet's mounts could be read.
    pub container: Option<String>,
    /// The text of `/proc/PID/cgroup`.
    pub cgroup: Option<String>,
}

/// The model's processes among those seen, none of them while its container is not there; `None` when it cannot be
/// told.
pub(super) fn of_model<'a>(seen: &'a [Seen], own: u32, whose: &Whose) -> Option<Vec<&'a Seen>> {
    let family = Family::new(seen);
    let name = match whose {
        Whose::Tree(root) => return Some(seen.iter().filter(|one| family.descends(one.stat.pid, *root)).collect()),
        Whose::Container(name) => name,
    };
    // In a namespace of its own the exporter is process 1 or descends from it; in a shared one that is the sandbox.
    if !family.0.contains_key(&own) || family.descends(own, 1) {
        return None;
    }
    if seen.iter().any(|one| one.container.is_some()) {
        return Some(seen.iter().filter(|one| one.container.as_ref() == Some(name)).collect());
    }
    the_only_other(seen, &family, own)
}

/// The processes of the only container that is neither the exporter's nor the sandbox.
fn the_only_other<'a>(seen: &'a [Seen], family: &Family<'_>, own: u32) -> Option<Vec<&'a Seen>> {
    let told = by_cgroup(seen, own).unwrap_or_else(|| by_tree(seen, family, own));
    let containers: BTreeSet<&String> = told.iter().filter_map(|(container, _)| container.as_ref()).collect();
    if containers.len() > 1 {
        return None;
    }
    // Orphans that belong to no tree can only be those of the one container.
    let known = !containers.is_empty();
    Some(told.iter().filter(|_| known).map(|(_, one)| *one).collect())
}

/// A process and its container, which may be unknown.
type Told<'a> = Vec<(Option<String>, &'a Seen)>;

/// Processes outside the exporter's container and the sandbox by their cgroup; `None` where cgroups do not tell them
/// apart.
fn by_cgroup(seen: &[Seen], own: u32) -> Option<Told<'_>> {
    let cgroup = |pid: u32| seen.iter().find(|one| one.stat.pid == pid)?.cgroup.as_deref();
    let ours = cgroup(own)?;
    // The sandbox is another container than the exporter's: if that does not show, nothing does.
    let sandbox = other_container(ours, cgroup(1)?)?;
    let told = seen.iter().filter_map(|one| {
        let container = other_container(ours, one.cgroup.as_deref()?)?;
        (container != sandbox).then_some((Some(container), one))
    });
    Some(told.collect())
}

/// What names the container of `theirs`, if it is not the one of `ours`; both are texts of `/proc/PID/cgroup`. Within a
/// cgroup namespace others are at `/../ID`, without one at `/kubepods/…/ID`; some have more levels below.
fn other_container(ours: &str, theirs: &str) -> Option<String> {
    let parse = |line| -> Option<(String, String)> {
        let (hierarchy, rest): (&str, &str) = str::split_once(line, ':')?;
        Some((hierarchy.to_owned(), rest.split_once(':')?.1.to_owned()))
    };
    let ours: HashMap<String, String> = ours.lines().filter_map(parse).collect();
    theirs.lines().filter_map(parse).find_map(|(hierarchy, path)| branch(ours.get(&hierarchy)?, &path))
}

fn branch(ours: &str, theirs: &str) -> Option<String> {
    let parts = |path| str::split(path, '/').filter(|part| !part.is_empty());
    let up = parts(theirs).take_while(|part| *part == "..").count();
    if up > 0 {
        return Some(parts(theirs).nth(up).unwrap_or("..").to_owned());
    }
    let mut theirs = parts(theirs);
    // Everything at or below our own path is our own container.
    parts(ours).find_map(|part| match theirs.next() {
        Some(same) if same == part => None,
        Some(other) => Some(other.to_owned()),
        None => Some("..".to_owned()),
    })
}

/// Processes outside the exporter's tree, by the process that their container began with. Orphans, whose parent is the
/// sandbox, are told by their session, or not at all.
fn by_tree<'a>(seen: &'a [Seen], family: &Family<'_>, own: u32) -> Told<'a> {
    let ours = family.root(own);
    let container = |pid: u32| Some(family.root(pid)).filter(|root| family.parent(*root) == Some(0));
    let told = seen.iter().filter(|one| one.stat.pid != 1).filter_map(|one| {
        let root = container(one.stat.pid).or_else(|| container(one.stat.session));
        (root != Some(ours)).then_some((root.map(|root| root.to_string()), one))
    });
    told.collect()
}

/// Who is whose child.
struct Family<'a>(HashMap<u32, &'a Stat>);

impl<'a> Family<'a> {
    fn new(seen: &'a [Seen]) -> Self {
        Self(seen.iter().map(|one| (one.stat.pid, &one.stat)).collect())
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        self.0.get(&pid).map(|stat| stat.parent)
    }

    /// The process itself, its parent, and so on. Files are read one after the other, so a parent may be gone, and
    /// with a process id used again even a ring is possible.
    fn line(&self, pid: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(pid), |pid| self.parent(*pid).filter(|parent| *parent != 0)).take(self.0.len() + 1)
    }

    fn descends(&self, pid: u32, from: u32) -> bool {
        self.line(pid).any(|one| one == from)
    }

    /// The eldest below the sandbox.
    fn root(&self, pid: u32) -> u32 {
        self.line(pid).take_while(|one| *one != 1).last().unwrap_or(pid)
    }
}

#[cfg(test)]
#[path = "tests/whose.rs"]
mod tests;
