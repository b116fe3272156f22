use pretty_assertions::assert_eq;

use super::{
    super::fixture::{Proc, Process},
    super::proc_fs::ProcFs,
    *,
};

/// The ids of the model's processes, as the exporter, process 9, tells them.
fn told(processes: &[Process]) -> Option<Vec<u32>> {
    told_by(9, &Whose::Container("model".into()), processes)
}

fn told_by(own: u32, whose: &Whose, processes: &[Process]) -> Option<Vec<u32>> {
    let proc = Proc::new(own);
    processes.iter().for_each(|process| proc.put(process));
    let files = ProcFs::at(&proc.path(""));
    let see = |pid| Some(Seen { stat: files.stat(pid)?, container: files.container(pid), cgroup: files.cgroup(pid) });
    let seen: Vec<Seen> = files.pids().into_iter().filter_map(see).collect();
    of_model(&seen, own, whose).map(|all| {
        let mut pids: Vec<u32> = all.into_iter().map(|one| one.stat.pid).collect();
        pids.sort_unstable();
        pids
    })
}

#[test]
fn the_named_container_is_the_model_whoever_else_is_in_the_pod() {
    let pod = [
        Process::new(1, 0),
        Process::in_container(9, 0, "modelship-exporter"),
        Process::in_container(15, 9, "modelship-exporter"),
        Process::in_container(20, 0, "model"),
        Process::in_container(21, 20, "model"),
        // Its parent ended: the sandbox has it now.
        Process::in_container(22, 1, "model"),
        Process::in_container(30, 0, "istio-proxy"),
        Process::in_container(31, 30, "istio-proxy"),
    ];
    assert_eq!(told(&pod), Some(vec![20, 21, 22]));
}

#[test]
fn while_the_models_container_is_not_there_it_has_no_processes() {
    let pod = [
        Process::new(1, 0),
        Process::in_container(9, 0, "modelship-exporter"),
        Process::in_container(30, 0, "istio-proxy"),
    ];
    assert_eq!(told(&pod), Some(vec![]));
}

#[test]
fn a_supervisor_in_the_style_of_s6_with_all_its_children_is_the_model() {
    let mut pod = vec![Process::new(1, 0), Process::in_cgroup(9, 0, "0::/\n")];
    pod[0].cgroup = "0::/../sandbox\n";
    pod.push(Process { command: "s6-svscan", ..Process::in_cgroup(20, 0, "0::/../m\n") });
    pod.extend(
        [(21, 20), (22, 20), (23, 21), (24, 22), (25, 24)]
            .map(|(pid, parent)| Process { session: pid, ..Process::in_cgroup(pid, parent, "0::/../m\n") }),
    );
    assert_eq!(told(&pod), Some(vec![20, 21, 22, 23, 24, 25]));
    pod.iter_mut().for_each(|process| process.cgroup = "0::/\n");
    assert_eq!(told(&pod), Some(vec![20, 21, 22, 23, 24, 25]), "by the tree");
}

#[test]
fn without_names_cgroups_tell_containers_apart() {
    let pods = [
        // A cgroup namespace for each container.
        ["0::/../sandbox.scope\n", "0::/\n", "0::/../model.scope\n", "0::/../model.scope/below\n", "0::/inner\n"],
        // The node's namespace.
        [
            "0::/kube/pod1/sandbox\n",
            "0::/kube/pod1/e\n",
            "0::/kube/pod1/m\n",
            "0::/kube/pod1/m/x\n",
            "0::/kube/pod1/e/x\n",
        ],
        // A container's processes one level further down.
        ["0::/../../s/container\n", "0::/\n", "0::/../../m/container\n", "0::/../../m/container\n", "0::/x\n"],
        // The first version, where not every hierarchy tells.
        [
            "5:cpu:/\n3:memory:/kube/p/s\n",
            "5:cpu:/\n3:memory:/kube/p/e\n",
            "5:cpu:/\n3:memory:/kube/p/m\n",
            "5:cpu:/\n3:memory:/kube/p/m\n",
            "5:cpu:/\n3:memory:/kube/p/e\n",
        ],
    ];
    for [sandbox, exporter, model, worker, ours] in pods {
        let pod = [
            Process::in_cgroup(1, 0, sandbox),
            Process::in_cgroup(9, 0, exporter),
            Process::in_cgroup(20, 0, model),
            Process::in_cgroup(21, 20, worker),
            Process::in_cgroup(22, 1, worker),
            Process::in_cgroup(23, 9, ours),
        ];
        assert_eq!(told(&pod), Some(vec![20, 21, 22]), "{exporter}");
    }
}

#[test]
fn without_names_a_further_sidecar_makes_it_unknown() {
    let cgroups = [
        Process::in_cgroup(1, 0, "0::/../s\n"),
        Process::in_cgroup(9, 0, "0::/\n"),
        Process::in_cgroup(20, 0, "0::/../m\n"),
        Process::in_cgroup(30, 0, "0::/../proxy\n"),
    ];
    assert_eq!(told(&cgroups), None);
    assert_eq!(told(&cgroups.map(|process| Process { cgroup: "", ..process })), None, "by the tree");
}

#[test]
fn without_names_and_cgroups_the_other_tree_is_the_model_with_its_orphans() {
    let orphan = Process { session: 20, ..Process::new(22, 1) };
    let stranger = Process { session: 77, ..Process::new(23, 1) };
    let pod = [
        Process::new(1, 0),
        Process::new(9, 0),
        Process { session: 9, ..Process::new(10, 9) },
        Process { session: 9, ..Process::new(11, 1) },
        Process::new(20, 0),
        Process::new(21, 20),
        orphan,
        stranger,
    ];
    assert_eq!(told(&pod), Some(vec![20, 21, 22, 23]));
    assert_eq!(told(&[Process::new(1, 0), Process::new(9, 0), Process::new(10, 9)]), Some(vec![]));
}

#[test]
fn without_a_shared_namespace_nothing_is_told() {
    let whose = Whose::Container("model".into());
    assert_eq!(told_by(1, &whose, &[Process::new(1, 0), Process::new(2, 1)]), None);
    // Behind a small init of its own, or on a machine without containers.
    assert_eq!(told_by(9, &whose, &[Process::new(1, 0), Process::new(8, 1), Process::new(9, 8)]), None);
    assert_eq!(told_by(9, &whose, &[]), None);
}

#[test]
fn a_tree_can_be_named_by_its_root() {
    let all = [Process::new(1, 0), Process::new(9, 1), Process::new(20, 9), Process::new(21, 20), Process::new(30, 9)];
    assert_eq!(told_by(9, &Whose::Tree(20), &all), Some(vec![20, 21]));
    assert_eq!(told_by(9, &Whose::Tree(55), &all), Some(vec![]));
}

#[test]
fn parents_in_a_ring_end_the_search() {
    let pod = [Process::new(1, 0), Process::new(9, 0), Process::new(20, 21), Process::new(21, 20)];
    assert_eq!(told_by(9, &Whose::Tree(7), &pod), Some(vec![]));
    assert!(told(&pod).is_some());
}
