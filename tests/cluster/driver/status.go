package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"
)

func (s *State) parts() []string {
	switch {
	case s.Registry != nil:
		return []string{"registry"}
	case s.Level == LevelFull:
		return []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "registry", "node", "containerd", "kubelet"}
	}
	return []string{"etcd", "kube-apiserver", "kube-controller-manager"}
}

func (l Layout) status(name string) error {
	all, err := l.instances()
	if err != nil {
		return err
	}
	if name != "" {
		all = []*Instance{l.instance(name)}
	}
	if len(all) == 0 {
		return errors.New("nothing is up")
	}
	whole := true
	for _, i := range all {
		complete, err := i.describe()
		if err != nil {
			return err
		}
		whole = whole && complete
	}
	if !whole {
		return errors.New("not all of it runs: up completes it")
	}
	return nil
}

func (i *Instance) describe() (complete bool, err error) {
	state, err := i.loadState()
	if err != nil {
		return false, fmt.Errorf("%q is not up", i.Name)
	}
	if state.Registry != nil {
		fmt.Printf("%s (registry on %s)\n", i.Name, state.Registry.address())
	} else {
		fmt.Printf("%s (level %s, %s)\n", i.Name, state.Level, state.server())
	}
	complete = true
	for _, part := range state.parts() {
		if process := i.running(part); process != nil {
			fmt.Printf("  %-24s pid %d\n", part, process.PID)
		} else {
			complete = false
			fmt.Printf("  %-24s NOT RUNNING, see %s\n", part, i.logFile(part))
		}
	}
	if state.Registry != nil {
		return complete, nil
	}
	if api, err := i.api(state.server()); err == nil {
		complete = i.report("api server ready", api.ready()) && complete
		if state.Level == LevelFull {
			complete = i.report("node ready", api.nodeReady(nodeName, time.Time{})) && complete
		}
	}
	fmt.Printf("  %-24s %s\n", "kubeconfig", i.kubeconfig())
	if state.Audit {
		fmt.Printf("  %-24s %s\n", "audit log", i.path("audit.log"))
	}
	if state.Level == LevelFull {
		fmt.Printf("  %-24s http://%s:%d, for docker.io and all other names\n", "registry", nodeIP, registryPort)
	}
	return complete, nil
}

func (i *Instance) report(what string, err error) bool {
	if err != nil {
		fmt.Printf("  %-24s no: %v\n", what, err)
		return false
	}
	fmt.Printf("  %-24s yes\n", what)
	return true
}

// leftovers lists what a cluster of this build folder has on the machine outside its own folder. While one runs
// that is all of it; after down it must be nothing.
func (l Layout) leftovers() []string {
	var found []string
	for _, process := range markedProcesses() {
		if filepath.Dir(process.Instance) == l.clusters() {
			found = append(found, fmt.Sprintf("process %d %s (%s of %s)", process.PID, process.Program, process.Part, filepath.Base(process.Instance)))
		}
	}
	folders, _ := os.ReadDir(l.clusters())
	for _, folder := range folders {
		for _, pid := range l.instance(folder.Name()).podProcesses() {
			found = append(found, fmt.Sprintf("process %d of a pod of %s", pid, folder.Name()))
		}
	}
	for _, point := range mountsBelow(l.clusters()) {
		found = append(found, "mount "+point)
	}
	if owner := machineOwner(); owner != "" && filepath.Dir(owner) != l.clusters() {
		return found // The links, tables and groups are another checkout's.
	}
	for _, link := range append(podLinks(), podBridge, nodeBridge) {
		if linkExists(link) {
			found = append(found, "link "+link)
		}
	}
	record, err := l.loadRecord()
	if err != nil {
		return found // No full cluster was ever up here.
	}
	before := map[string]bool{}
	for _, known := range slices.Concat(record.Tables, record.Paths, record.CGroups) {
		before[known] = true
	}
	for _, table := range tables() {
		if table != "" && !before[table] {
			found = append(found, "nft "+table)
		}
	}
	for _, path := range outsidePaths {
		if _, err := os.Lstat(path); err == nil && !before[path] {
			found = append(found, "path "+path)
		}
	}
	for _, path := range podCGroupRoots() {
		if !before[path] {
			found = append(found, "control group "+path)
		}
	}
	if record.Boot == bootID() {
		for name, value := range record.Sysctls {
			if now, err := os.ReadFile(sysctlFile(name)); err == nil && strings.TrimSpace(string(now)) != value {
				found = append(found, fmt.Sprintf("sysctl %s is %s, was %s", name, strings.TrimSpace(string(now)), value))
			}
		}
	}
	sort.Strings(found)
	return found
}

func (l Layout) reportLeftovers() error {
	found := l.leftovers()
	for _, line := range found {
		fmt.Println(line)
	}
	if len(found) > 0 {
		return fmt.Errorf("%d things of a cluster are on this machine", len(found))
	}
	return nil
}
