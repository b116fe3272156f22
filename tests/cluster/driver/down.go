package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// DownOptions is what a user may choose when a cluster ends.
type DownOptions struct {
	KeepImages bool
}

// down ends an instance and removes everything of it but its logs. It works on what it finds, so it also ends
// what a killed command has begun.
func (i *Instance) down(options DownOptions) error {
	state, err := i.loadState()
	if err != nil {
		state = &State{}
	}
	processes := i.processes()
	if os.IsNotExist(err) && len(processes) == 0 {
		say("%s is not up", i.Name)
		return nil
	}
	began := time.Now()
	full := state.Level == LevelFull || i.hasNode(processes)
	if full && os.Geteuid() != 0 {
		return fmt.Errorf("%s is a full cluster: only root can end it", i.Name)
	}
	if full {
		i.deleteWorkloads(state)
		i.endNode()
	}
	// Another cluster may have taken the machine over since this one was killed: then nothing else is this one's.
	owner := machineOwner()
	full = full && (owner == "" || owner == i.dir())
	if full {
		i.removePodCGroups()
		if alias, exists := linkAlias(nodeBridge); !exists || ownerInAlias(alias) == i.dir() {
			clearNetwork()
		}
	}
	// The clients before the servers: nobody then logs that he cannot reach the other.
	i.stopParts(2*time.Second, "kube-controller-manager", "kube-scheduler")
	i.stopParts(3*time.Second, "kube-apiserver")
	i.stopParts(3*time.Second, "etcd", "registry")
	stop(i.processes(), time.Second, stillMarked)

	if err := unmountBelow(i.dir()); err != nil {
		return err
	}
	if full {
		if err := i.restoreMachine(); err != nil {
			return err
		}
	}
	if full {
		for _, host := range baseHosts {
			_ = os.RemoveAll(filepath.Dir(hostsFile(i.Layout, host)))
		}
	}
	if err := i.removeFiles(state, options); err != nil {
		return err
	}
	say("%s is down after %.1f s", i.Name, time.Since(began).Seconds())
	return nil
}

func (i *Instance) removeFiles(state *State, options DownOptions) error {
	if state.Registry != nil && state.Registry.Hosts != "" {
		_ = os.RemoveAll(filepath.Dir(hostsFile(i.Layout, state.Registry.Hosts)))
	}
	entries, err := os.ReadDir(i.dir())
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "logs" || name == "audit.log":
		case name == "state.json": // Last: with it goes the sign that there is something to remove.
		case name == "registry" && state.Level == LevelFull && options.KeepImages:
		default:
			if err := os.RemoveAll(i.path(name)); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(i.path("state.json")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// nodeParts end with the node; the rest is the control plane, which outlives a crash of the node.
var nodeParts = map[string]bool{"kubelet": true, "kube-proxy": true, "containerd": true, "node": true}

func (i *Instance) hasNode(processes []Process) bool {
	for _, process := range processes {
		if nodeParts[process.Part] {
			return true
		}
	}
	return false
}

// deleteWorkloads lets pods end in an orderly way while everything they need still runs. It is a courtesy: what
// does not end in time is killed, so its errors are not the caller's.
func (i *Instance) deleteWorkloads(state *State) {
	if i.running("kubelet") == nil || i.running("kube-apiserver") == nil {
		return
	}
	api, err := i.api(state.server())
	if err != nil || api.ready() != nil {
		return
	}
	var pods struct{ Items []struct{} }
	if api.get("/api/v1/pods", &pods) == nil && len(pods.Items) == 0 {
		return
	}
	say("deleting %d pods and what makes them …", len(pods.Items))
	kubectl := func(limit time.Duration, arguments ...string) {
		command := exec.Command(i.bin("kubectl"), append([]string{"--kubeconfig", i.kubeconfig(), "delete", "--all", "--all-namespaces", "--ignore-not-found"}, arguments...)...)
		timer := time.AfterFunc(limit, func() { _ = command.Process.Kill() })
		defer timer.Stop()
		_ = command.Run()
	}
	kubectl(15*time.Second, "--wait=false", "cronjobs,jobs,deployments,daemonsets,statefulsets,replicasets,replicationcontrollers")
	kubectl(25*time.Second, "--grace-period=2", "--timeout=20s", "pods")
}

// endNode ends every process of the node: the parts, containerd's shims (which outlive it), and the pods' own.
func (i *Instance) endNode() {
	i.stopParts(3*time.Second, "kubelet")
	i.stopParts(2*time.Second, "kube-proxy", "containerd")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left := i.podProcesses()
		for _, process := range i.processes() {
			if nodeParts[process.Part] && process.Part != "node" {
				left = append(left, process.PID)
			}
		}
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	// Last: its namespace holds the mounts, and its lock keeps others away until they are gone.
	i.stopParts(2*time.Second, "node")
}

// podProcesses finds processes that live on a file system of the instance's containerd: those of pods. They carry
// no mark, for a container's environment is its own.
func (i *Instance) podProcesses() []int {
	own := os.Getpid()
	var found []int
	for _, pid := range pids() {
		if pid == own {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err != nil {
			continue
		}
		for _, mount := range parseMountInfo(string(raw)) {
			if mount.Point == "/" && mount.isBacked(i.path("node")) {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}

// Mount is one line of /proc/PID/mountinfo.
type Mount struct {
	Root    string // what of the file system is mounted
	Point   string
	Options string // of the file system: an overlay names its folders here
}

func (m Mount) isBacked(folder string) bool {
	if strings.HasPrefix(m.Root, folder+"/") {
		return true
	}
	for _, option := range strings.Split(m.Options, ",") {
		if upper, found := strings.CutPrefix(option, "upperdir="); found && strings.HasPrefix(upper, folder+"/") {
			return true
		}
	}
	return false
}

var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// parseMountInfo reads the format that proc(5) describes: a variable number of optional fields ends with "-".
func parseMountInfo(text string) []Mount {
	var mounts []Mount
	for _, line := range strings.Split(text, "\n") {
		before, after, found := strings.Cut(line, " - ")
		fields, system := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 6 || len(system) < 2 {
			continue
		}
		mount := Mount{Root: mountEscapes.Replace(fields[3]), Point: mountEscapes.Replace(fields[4])}
		if len(system) > 2 {
			mount.Options = mountEscapes.Replace(system[2])
		}
		mounts = append(mounts, mount)
	}
	return mounts
}

// mountsBelow lists the machine's own mounts in a folder, the innermost first.
func mountsBelow(folder string) []string {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var points []string
	for _, mount := range parseMountInfo(string(raw)) {
		if strings.HasPrefix(mount.Point, folder+"/") {
			points = append([]string{mount.Point}, points...)
		}
	}
	return points
}

// unmountBelow makes sure that removing a folder cannot reach into something mounted in it. The driver mounts
// nothing there; a user's experiments may have.
func unmountBelow(folder string) error {
	for _, point := range mountsBelow(folder) {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("%s is mounted and cannot be unmounted: %w", point, err)
		}
	}
	return nil
}

// podCGroupRoots are where containerd puts the control groups of pods, one per controller on version 1. The name is
// its namespace for Kubernetes, so another containerd on the machine may use them too.
func podCGroupRoots() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/k8s.io", "/sys/fs/cgroup/*/k8s.io"} {
		matches, _ := filepath.Glob(pattern)
		found = append(found, matches...)
	}
	return found
}

// removePodCGroups removes the groups of containers that containerd still has a folder for, which are those that
// were killed with it, and then the roots if nobody else uses them. It is not only for tidiness: cAdvisor spends
// three seconds on every group without a task when a node starts again, and the kubelet waits for it.
func (i *Instance) removePodCGroups() {
	tasks, _ := os.ReadDir(i.path("node", "run", "containerd", "io.containerd.runtime.v2.task", "k8s.io"))
	// A process that was killed leaves its group a moment after it is gone from sight.
	deadline := time.Now().Add(5 * time.Second)
	for _, root := range podCGroupRoots() {
		for _, task := range tasks {
			for !removeGroups(filepath.Join(root, task.Name())) && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond)
			}
		}
		_ = syscall.Rmdir(root)
	}
}

// removeGroups removes a group and those in it, and reports whether it is gone; the kernel refuses what has a process.
func removeGroups(root string) bool {
	var folders []string
	_ = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return nil
	})
	for n := len(folders) - 1; n >= 0; n-- {
		_ = syscall.Rmdir(folders[n])
	}
	_, err := os.Lstat(root)
	return os.IsNotExist(err)
}

// withOrphans adds instances that have processes but no state, as when a folder was deleted under a running cluster.
func withOrphans(l Layout, known []*Instance) []*Instance {
	seen := map[string]bool{}
	for _, i := range known {
		seen[i.dir()] = true
	}
	for _, process := range markedProcesses() {
		if filepath.Dir(process.Instance) == l.clusters() && !seen[process.Instance] {
			seen[process.Instance] = true
			known = append(known, l.instance(filepath.Base(process.Instance)))
		}
	}
	return known
}
