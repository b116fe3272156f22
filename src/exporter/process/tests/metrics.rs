use prometheus::TextEncoder;

use super::{
    super::fixture::{Proc, Process},
    *,
};

fn page(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

fn registry(options: &Options) -> Registry {
    let registry = Registry::new();
    Metrics::register(&registry, options).unwrap();
    registry
}

#[test]
fn every_series_is_shown_and_described() {
    let proc = Proc::pod();
    proc.put(&Process { own: 150, pages: 3, open: Some(7), ..Process::in_container(20, 0, "model") });
    let page = page(&registry(&proc.options("model")));
    for (name, help) in SERIES {
        assert!(page.contains(&format!("# HELP {name} {help}\n")), "{name}: {page}");
    }
    for line in [
        "process_cpu_seconds_total 1.5",
        "process_resident_memory_bytes 12288",
        "process_open_fds 7",
        "process_max_fds 1024",
        "process_threads 1",
        "process_start_time_seconds 1700000002",
        "model_processes 1",
        "modelship_exporter_model_processes_visible 1",
        "modelship_exporter_cpu_seconds_total 0.5",
        "modelship_exporter_open_fds 3",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line}: {page}");
    }
}

#[test]
fn without_a_shared_namespace_the_models_series_are_absent_and_the_exporters_stay() {
    let proc = Proc::new(1);
    proc.put(&Process { open: Some(3), own: 50, ..Process::new(1, 0) });
    let page = page(&registry(&proc.options("model")));
    assert!(!page.contains("\nprocess_") && !page.contains("\nmodel_processes"), "{page}");
    assert!(page.contains("\nmodelship_exporter_model_processes_visible 0\n"), "{page}");
    assert!(page.contains("\nmodelship_exporter_cpu_seconds_total 0.5\n"), "{page}");
}

#[test]
fn the_counter_stays_when_the_models_container_is_gone_for_a_while() {
    let proc = Proc::pod();
    proc.put(&Process { own: 150, ..Process::in_container(20, 0, "model") });
    let registry = registry(&proc.options("model"));
    page(&registry);
    proc.end(20);
    assert!(page(&registry).contains("\nprocess_cpu_seconds_total 1.5\n"));
    assert!(page(&registry).contains("\nmodel_processes 0\n"));
}

#[test]
fn a_look_is_good_for_a_while() {
    let proc = Proc::pod();
    proc.put(&Process { own: 150, ..Process::in_container(20, 0, "model") });
    let registry = registry(&Options { good_for: Duration::from_secs(3600), ..proc.options("model") });
    page(&registry);
    proc.put(&Process { own: 950, ..Process::in_container(20, 0, "model") });
    assert!(page(&registry).contains("\nprocess_cpu_seconds_total 1.5\n"));
}

#[test]
fn a_directory_that_is_not_there_breaks_no_scrape() {
    let page = page(&registry(&Options { root: "/nowhere".into(), ..Options::container("model") }));
    assert!(page.contains("\nmodelship_exporter_model_processes_visible 0\n"), "{page}");
}
