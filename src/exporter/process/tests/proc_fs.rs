use pretty_assertions::assert_eq;

use super::*;

const LINE: &str =
    "42 (a) b (c) S 7 42 40 0 -1 4194560 1 2 3 4 100 20 30 -4 20 0 5 0 900 8192 11 18446744073709551615 1";

#[test]
fn a_command_with_parentheses_and_blanks_does_not_shift_the_fields() {
    let stat = parse_stat(LINE).unwrap();
    let expected = Stat {
        pid: 42,
        parent: 7,
        session: 40,
        ended: false,
        own_ticks: 120,
        children_ticks: 30,
        threads: 5,
        started: 900,
        virtual_bytes: 8192,
        resident_pages: 11,
    };
    assert_eq!(stat, expected);
}

#[test]
fn a_cut_or_strange_line_is_no_process() {
    for end in 0..LINE.find("8192 11").unwrap() {
        assert_eq!(parse_stat(&LINE[..end]), None, "{}", &LINE[..end]);
    }
    assert_eq!(parse_stat("x (y) S a b c"), None);
}

#[test]
fn the_containers_name_is_read_from_where_the_kubelet_mounts_its_termination_log() {
    let uid = "4f6e0c52-30a5-4f43-9d8e-0c8a35b7f1d7";
    let at = |root: &str| {
        format!("1 2 0:9 / / rw - overlay o rw\n4 1 8:1 {root} /dev/termination-log rw - ext4 /dev/a rw\n")
    };
    let named = |root: String| container_in_mounts(&at(&root));
    assert_eq!(named(format!("/var/lib/kubelet/pods/{uid}/containers/model/1d2f")), Some("model".into()));
    // The kubelet's directory may be a file system of its own, or elsewhere.
    assert_eq!(named(format!("/pods/{uid}/containers/model/1d2f")), Some("model".into()));
    assert_eq!(named(format!("/var/lib/kubelet/pods/{uid}/volumes/containers/1d2f")), None);
    assert_eq!(named(format!("/var/lib/kubelet/pods/{uid}/etc-hosts")), None);
    assert_eq!(named("/home/pods/a/containers/model/x".into()), None);
    assert_eq!(named("/".into()), None);
    assert_eq!(container_in_mounts("one two"), None);
}

#[test]
fn the_kernel_tells_the_units_of_pages_and_ticks() {
    let (page, ticks) = ProcFs::at(Path::new("/proc")).units();
    assert!(page >= 4096 && page.is_power_of_two(), "{page}");
    assert_eq!(ticks, 100);
    assert_eq!(ProcFs::at(Path::new("/nowhere")).units(), (4096, 100));
}

#[test]
fn what_is_not_there_is_nothing() {
    let files = ProcFs::at(Path::new("/nowhere"));
    assert_eq!(files.own_pid(), None);
    assert_eq!(files.pids(), Vec::<u32>::new());
    assert_eq!(files.stat(1), None);
    assert_eq!(files.open_files(1), None);
    assert_eq!(files.file_limit(1), None);
    assert_eq!(files.boot_time(), None);
}
