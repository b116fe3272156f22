use std::os::unix::fs::symlink;

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::{super::exposition::write, *};

/// A directory that processes write to, and one that says which of them live.
struct Pod {
    written: TempDir,
    processes: TempDir,
}

impl Pod {
    fn new() -> Self {
        Self { written: TempDir::new().unwrap(), processes: TempDir::new().unwrap() }
    }

    fn pages(&self) -> PythonPages {
        PythonPages::new(self.written.path(), Some(self.processes.path()))
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.written.path().join(name), text).unwrap();
    }

    fn process(&self, pid: u32, collected: u32) {
        drop(fs::create_dir(self.processes.path().join(pid.to_string())));
        self.put(&format!("python-{pid}-77.prom"), &text(collected));
    }

    fn end(&self, pid: u32) {
        fs::remove_dir(self.processes.path().join(pid.to_string())).unwrap();
    }
}

fn text(collected: u32) -> String {
    format!(
        "# HELP python_gc_total Collected.\n\
         # TYPE python_gc_total counter\npython_gc_total{{generation=\"0\"}} {collected}\n\
         # TYPE python_info gauge\npython_info{{major=\"3\"}} 1\n# TYPE python_threads gauge\npython_threads 2\n"
    )
}

fn shown(pages: &mut PythonPages) -> (String, usize) {
    let (families, malformed) = pages.families(SystemTime::now());
    let mut page = String::new();
    write(&families, false, &mut page);
    (page, malformed)
}

fn lines(pages: &mut PythonPages) -> Vec<String> {
    let (page, malformed) = shown(pages);
    assert_eq!(malformed, 0);
    page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn processes_are_added_up_and_what_only_names_something_is_not() {
    let pod = Pod::new();
    pod.process(10, 5);
    pod.process(11, 7);
    let expected = "\
# HELP python_gc_total Collected.
# TYPE python_gc_total counter
python_gc_total{generation=\"0\"} 12
# TYPE python_info gauge
python_info{major=\"3\"} 1
# TYPE python_threads gauge
python_threads 4
";
    assert_eq!(shown(&mut pod.pages()), (expected.to_owned(), 0));
}

#[test]
fn counters_do_not_fall_when_a_process_ends_and_gauges_do() {
    let pod = Pod::new();
    pod.process(10, 5);
    pod.process(11, 7);
    let mut pages = pod.pages();
    lines(&mut pages);
    pod.end(11);
    pod.process(10, 6);
    let expected = ["python_gc_total{generation=\"0\"} 13", "python_info{major=\"3\"} 1", "python_threads 2"];
    assert_eq!(lines(&mut pages), expected);
    fs::remove_file(pod.written.path().join("python-11-77.prom")).unwrap();
    assert_eq!(lines(&mut pages), expected);
    pod.process(12, 100);
    assert_eq!(lines(&mut pages)[0], "python_gc_total{generation=\"0\"} 113");
}

#[test]
fn what_ended_before_the_exporter_began_does_not_count() {
    let pod = Pod::new();
    pod.process(10, 5);
    pod.put("python-99-77.prom", &text(1000));
    let mut pages = pod.pages();
    assert_eq!(lines(&mut pages)[0], "python_gc_total{generation=\"0\"} 5");
    assert_eq!(lines(&mut pages)[0], "python_gc_total{generation=\"0\"} 5");
}

#[test]
fn without_a_shared_namespace_old_files_are_of_processes_that_ended() {
    let pod = Pod::new();
    pod.process(10, 5);
    let mut pages = PythonPages::new(pod.written.path(), None);
    let (families, _) = pages.families(SystemTime::now() + STALE + Duration::from_secs(5));
    assert!(families.iter().all(|family| family.kind == Kind::Counter));
    assert_eq!(families[0].samples[0].value, 0.0);
    // It held Python's lock for long, and lives.
    pod.process(10, 9);
    assert_eq!(lines(&mut pages)[0], "python_gc_total{generation=\"0\"} 4");
}

#[test]
fn a_file_that_is_not_as_it_should_be_is_counted_and_breaks_no_other() {
    let pod = Pod::new();
    pod.process(10, 5);
    pod.put("python-11-1.prom", "<html>");
    pod.put("python-12-1.prom", "# TYPE http_requests_total counter\nhttp_requests_total 5\n");
    pod.put("python-13-1.prom", "# TYPE python_x counter\npython_x NaN\n");
    pod.put("python-14-1.prom", &"python_x 1\n".repeat(7000));
    symlink("/proc/self/status", pod.written.path().join("python-15-1.prom")).unwrap();
    fs::create_dir(pod.written.path().join("python-16-1.prom")).unwrap();
    std::process::Command::new("mkfifo").arg(pod.written.path().join("python-17-1.prom")).status().unwrap();
    pod.put(".python-18-1.prom", "half of a fi");
    pod.put("python-x-1.prom", "not of a process");
    pod.put("notes", "not ours");
    let (page, malformed) = shown(&mut pod.pages());
    assert!(page.contains("python_gc_total{generation=\"0\"} 5\n") && !page.contains("http_"), "{page}");
    // The link is not opened at all; the directory and the pipe are no files.
    assert_eq!(malformed, 6);
}

#[test]
fn series_are_bounded() {
    let pod = Pod::new();
    for file in 0..4 {
        let series = |number| format!("python_x{{n=\"{file}-{number}\"}} 1\n");
        let all: String = (0..300).map(series).collect();
        pod.put(&format!("python-1{file}-1.prom"), &format!("# TYPE python_x counter\n{all}"));
    }
    let mut pages = PythonPages::new(pod.written.path(), None);
    assert_eq!(lines(&mut pages).len(), MOST_SERIES);
}

#[test]
fn without_a_directory_there_is_nothing() {
    assert_eq!(shown(&mut PythonPages::new(Path::new("/nowhere"), None)), (String::new(), 0));
}
