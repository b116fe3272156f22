use pretty_assertions::assert_eq;

use super::{
    super::fixture::{Proc, Process},
    *,
};

fn reader(proc: &Proc) -> Reader {
    Reader::new(&proc.options("model"))
}

fn model(reader: &mut Reader) -> Usage {
    reader.look().0.unwrap()
}

/// A server with two workers and a helper.
fn server() -> [Process; 4] {
    [
        Process {
            own: 100,
            children: 7,
            pages: 10,
            threads: 2,
            open: Some(5),
            ..Process::in_container(20, 0, "model")
        },
        Process { own: 1000, pages: 300, threads: 40, open: Some(11), ..Process::in_container(21, 20, "model") },
        Process { own: 2000, pages: 400, threads: 41, open: Some(12), ..Process::in_container(22, 20, "model") },
        Process { own: 3, pages: 1, open: Some(1), limit: "512", ..Process::in_container(23, 20, "model") },
    ]
}

#[test]
fn a_server_with_two_workers_is_four_processes_added_up() {
    let proc = Proc::pod();
    server().iter().for_each(|process| proc.put(process));
    let (model, own) = reader(&proc).look();
    let expected = Usage {
        processes: 4,
        cpu_seconds: 31.1,
        resident_bytes: 711 * 4096,
        virtual_bytes: 4 * 8192,
        threads: 84,
        open_files: Some(29),
        file_limit: Some(3 * 1024 + 512),
        started: Some(1_700_000_002.0),
    };
    assert_eq!(model, Some(expected));
    let own = own.unwrap();
    assert_eq!((own.processes, own.cpu_seconds, own.resident_bytes, own.open_files), (1, 0.5, 8192, Some(3)));
}

#[test]
fn cpu_time_does_not_fall_when_workers_die_and_their_ids_are_used_again() {
    let proc = Proc::pod();
    let [parent, worker, other, helper] = server();
    [&parent, &worker, &other, &helper].into_iter().for_each(|process| proc.put(process));
    let mut reader = reader(&proc);
    let mut total = model(&mut reader).cpu_seconds;
    // A worker dies and is waited for: its 10 s move to the parent. Its successor has the same id.
    proc.put(&Process { own: 101, children: 1007, ..Process::in_container(20, 0, "model") });
    proc.put(&Process { own: 5, started: 999, ..Process::in_container(21, 20, "model") });
    total += model(&mut reader).cpu_seconds;
    assert!((total - 31.16).abs() < 1e-9, "{total}");
    // The container restarts.
    (20..24).for_each(|pid| proc.end(pid));
    let gone = model(&mut reader);
    assert_eq!((gone.processes, gone.cpu_seconds, gone.started), (0, 0.0, None));
    proc.put(&Process { own: 200, ..Process::in_container(50, 0, "model") });
    total += model(&mut reader).cpu_seconds;
    assert!((total - 33.16).abs() < 1e-9, "{total}");
}

#[test]
fn a_process_that_ended_but_is_not_waited_for_counts_for_nothing_but_its_cpu_time() {
    let proc = Proc::pod();
    proc.put(&Process::in_container(20, 0, "model"));
    proc.put(&Process { own: 40, ..Process::in_container(21, 20, "model") });
    let mut reader = reader(&proc);
    model(&mut reader);
    proc.put(&Process { own: 42, state: 'Z', pages: 9, open: None, ..Process::in_container(21, 20, "model") });
    let usage = model(&mut reader);
    assert_eq!((usage.processes, usage.threads, usage.resident_bytes, usage.open_files), (1, 1, 0, Some(0)));
    assert!((usage.cpu_seconds - 0.02).abs() < 1e-9);
}

#[test]
fn files_that_cannot_be_read_leave_their_figure_out_and_no_other() {
    let proc = Proc::pod();
    server().iter().for_each(|process| proc.put(process));
    std::fs::remove_file(proc.path("21/fd")).unwrap();
    std::fs::remove_file(proc.path("22/limits")).unwrap();
    let usage = model(&mut reader(&proc));
    assert_eq!((usage.open_files, usage.file_limit), (None, None));
    assert_eq!((usage.processes, usage.threads), (4, 84));
}

#[test]
fn a_kernel_that_does_not_count_open_files_leaves_them_out() {
    let proc = Proc::pod();
    proc.put(&Process { open: Some(0), ..Process::in_container(9, 0, "modelship-exporter") });
    server().iter().for_each(|process| proc.put(process));
    let (model, own) = reader(&proc).look();
    assert_eq!((model.unwrap().open_files, own.unwrap().open_files), (None, None));
}

#[test]
fn a_process_that_vanishes_while_it_is_read_is_left_out() {
    let proc = Proc::pod();
    server().iter().for_each(|process| proc.put(process));
    // Its directory is still listed, but has nothing in it any more.
    proc.end(23);
    std::fs::create_dir(proc.path("23")).unwrap();
    // And one is gone after its first file was read.
    let mut reader = reader(&proc);
    let usage = model(&mut reader);
    assert_eq!((usage.processes, usage.open_files), (3, Some(28)));
    let seen: Vec<Stat> = reader.see().into_iter().map(|one| one.stat).filter(|stat| stat.pid > 9).collect();
    proc.end(22);
    let usage = reader.sum(&seen.iter().collect::<Vec<_>>(), 0, true);
    assert_eq!(usage.open_files, Some(16));
}

#[test]
fn names_of_containers_are_read_once_and_forgotten_with_their_processes() {
    let proc = Proc::pod();
    server().iter().for_each(|process| proc.put(process));
    let mut reader = reader(&proc);
    model(&mut reader);
    std::fs::write(proc.path("21/mountinfo"), "").unwrap();
    assert_eq!(model(&mut reader).processes, 4);
    (20..24).for_each(|pid| proc.end(pid));
    model(&mut reader);
    assert_eq!(reader.containers.len(), 1, "only the exporter's own is left");
}
