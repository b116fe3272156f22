//! The real `sitecustomize.py` in real Python processes.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, ChildStdin, Command, Stdio},
    time::Instant,
};

use tempfile::TempDir;

use super::{
    super::{PYTHON_METRICS_VARIABLE, SITECUSTOMIZE},
    *,
};

struct Place {
    module: TempDir,
    written: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { module: TempDir::new().unwrap(), written: TempDir::new().unwrap() };
        // Tests do not wait for five seconds.
        let quick = SITECUSTOMIZE.replace("interval = 5.0", "interval = 0.02");
        assert_ne!(quick, SITECUSTOMIZE);
        fs::write(place.module.path().join("sitecustomize.py"), quick).unwrap();
        place
    }

    fn python(&self, script: &str, further: &[&Path]) -> Command {
        let path = std::iter::once(self.module.path()).chain(further.iter().copied());
        let mut command = Command::new("python3");
        command
            .args(["-W", "error", "-c", script])
            .env("PYTHONPATH", std::env::join_paths(path).unwrap())
            .env(PYTHON_METRICS_VARIABLE, self.written.path());
        command
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.written.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| !name.starts_with('.')).collect()
    }

    fn until(&self, what: &str, so: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !so(&self.files()) {
            assert!(Instant::now() < deadline, "not within 20 s: {what}: {:?}", self.files());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A process that runs until its standard input ends.
struct Running(Child, Option<ChildStdin>);

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        Self(child, stdin)
    }

    /// Lets it end, and gives what it said on standard error.
    fn end(mut self) -> String {
        self.1.take();
        assert!(self.0.wait().unwrap().success());
        std::io::read_to_string(self.0.stderr.take().unwrap()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const WAIT: &str = "import os,sys; os.umask(0o077); sys.stdin.read()";

#[test]
fn two_processes_tell_of_their_garbage_collector_and_leave_nothing_behind() {
    let place = Place::new();
    let two = [WAIT, WAIT].map(|script| Running::start(place.python(script, &[])));
    place.until("two files", |files| files.len() == 2);
    let (families, malformed) =
        PythonPages::new(place.written.path(), Some(Path::new("/proc"))).families(SystemTime::now());
    assert_eq!(malformed, 0);
    let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
    let expected = [
        "python_gc_collections_total",
        "python_gc_objects_collected_total",
        "python_gc_objects_uncollectable_total",
        "python_info",
    ];
    assert_eq!(names, expected);
    assert!(families.iter().take(3).all(|family| family.kind == Kind::Counter && family.samples.len() == 3));
    let info = families[3].samples[0].series();
    assert!(info.contains("implementation=\"CPython\"") && info.contains("major=\"3\""), "{info}");
    assert!(families[0].samples[0].value > 0.0);
    // Others may read them, whatever the umask is.
    for name in place.files() {
        assert_eq!(fs::metadata(place.written.path().join(name)).unwrap().permissions().mode() & 0o777, 0o644);
    }
    for one in two {
        assert_eq!(one.end(), "");
    }
    assert_eq!(place.files(), Vec::<String>::new());
}

#[test]
fn both_sides_of_a_fork_tell_and_neither_is_warned_of_threads() {
    let place = Place::new();
    let script = "import os,sys,threading\n\
        assert threading.active_count() == 1\n\
        pid = os.fork()\n\
        sys.stdin.read()\n\
        if pid == 0: os._exit(0)\n\
        os.waitpid(pid, 0)\n";
    let server = Running::start(place.python(script, &[]));
    place.until("two files", |files| files.len() == 2);
    assert_eq!(server.end(), "");
    // The child ended without a farewell: the next process sweeps up.
    place.until("the child's file", |files| files.len() == 1);
    let next = Running::start(place.python(WAIT, &[]));
    let own = format!("python-{}-", next.0.id());
    place.until("only the new one", |files| files.len() == 1 && files[0].starts_with(&own));
    assert_eq!(next.end(), "");
}

#[test]
fn the_thread_is_gone_while_a_process_forks() {
    let place = Place::new();
    // What is registered first is called last before a fork.
    let module = place.module.path().join("sitecustomize.py");
    let before =
        "import os\nseen = []\nos.register_at_fork(before=lambda: seen.append(len(os.listdir('/proc/self/task'))))\n";
    fs::write(&module, format!("{before}{}", fs::read_to_string(&module).unwrap())).unwrap();
    let script = "import os,sys,sitecustomize\n\
        for _ in range(100):\n\
        \x20 pid = os.fork()\n\
        \x20 if pid == 0: os._exit(0)\n\
        \x20 os.waitpid(pid, 0)\n\
        assert sitecustomize.seen == [1] * 100, sitecustomize.seen\n\
        print('forked', flush=True)\n\
        sys.stdin.read()\n";
    let mut server = Running::start(place.python(script, &[]));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "forked\n");
    place.until("one file", |files| files.len() == 1);
    assert_eq!(server.end(), "");
}

#[test]
fn another_sitecustomize_is_run_as_if_this_one_were_not_there() {
    let place = Place::new();
    let other = TempDir::new().unwrap();
    let write = |text: &str| fs::write(other.path().join("sitecustomize.py"), text).unwrap();
    write(
        "import sys\nassert __name__ == 'sitecustomize' and sys.modules[__name__].__file__ == __file__\n\
         said = 'hello'\n",
    );
    let script = "import sitecustomize, sys; print(sitecustomize.said, flush=True); sys.stdin.read()";
    let mut server = Running::start(place.python(script, &[other.path()]));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    place.until("one file", |files| files.len() == 1);
    assert_eq!(server.end(), "");
    // Its errors are told, and the process runs on, as without ours.
    write("raise ValueError('theirs')\n");
    let output = place.python("print('ran')", &[other.path()]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "ran\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("ValueError: theirs"));
}

#[test]
fn without_a_directory_to_write_to_it_is_silent() {
    let place = Place::new();
    let nowhere = place.written.path().join("missing");
    let script = "import sys,time\nprint('ran', flush=True)\ntime.sleep(0.1)\n";
    for directory in [nowhere.as_path(), Path::new("/proc/1"), Path::new("")] {
        let output = place.python(script, &[]).env(PYTHON_METRICS_VARIABLE, directory).output().unwrap();
        assert!(output.status.success());
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"ran\n"[..], &b""[..]), "{}", directory.display());
    }
    let output = place.python(script, &[]).env_remove(PYTHON_METRICS_VARIABLE).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn a_full_or_vanished_directory_ends_it_and_not_the_process() {
    let place = Place::new();
    let mut server =
        Running::start(place.python("import sys\nfor line in sys.stdin: print(line, end='', flush=True)", &[]));
    place.until("one file", |files| files.len() == 1);
    let vanished = place.written.path().with_extension("gone");
    fs::rename(place.written.path(), &vanished).unwrap();
    writeln!(server.1.as_mut().unwrap(), "still here").unwrap();
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    fs::rename(&vanished, place.written.path()).unwrap();
    assert_eq!(line, "still here\n");
    assert_eq!(server.end(), "");
}
