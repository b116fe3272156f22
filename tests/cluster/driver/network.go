package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const aliasPrefix = "modelship cluster of "

// ownerInAlias reads the owning instance out of a link's alias.
func ownerInAlias(alias string) string {
	owner, ours := strings.CutPrefix(strings.TrimSpace(alias), aliasPrefix)
	if !ours {
		return ""
	}
	return owner
}

func linkAlias(link string) (alias string, exists bool) {
	raw, err := os.ReadFile(filepath.Join("/sys/class/net", link, "ifalias"))
	return strings.TrimSpace(string(raw)), err == nil
}

func linkExists(link string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", link))
	return err == nil
}

// setUpNetwork gives the node an address that is not loopback (the kubelet refuses that), on a bridge without
// ports because dummy links are not to be had everywhere. It changes nothing that is right already.
func (i *Instance) setUpNetwork() error {
	if !linkExists(nodeBridge) {
		if err := run("ip", "link", "add", nodeBridge, "type", "bridge"); err != nil {
			return err
		}
	}
	for _, arguments := range [][]string{
		{"link", "set", "dev", nodeBridge, "alias", aliasPrefix + i.dir()},
		{"link", "set", "dev", nodeBridge, "up"},
		{"address", "replace", nodeIP + "/32", "dev", nodeBridge},
		// Services are reached from the machine even if it has no default route, and with the node's address.
		{"route", "replace", serviceCIDR, "dev", nodeBridge, "src", nodeIP},
	} {
		if err := run("ip", arguments...); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(renderMasquerade())
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, said)
	}
	return nil
}

// ourTables are the nft tables that exist only while a full cluster does.
var ourTables = [][2]string{{"ip", "kube-proxy"}, {"ip6", "kube-proxy"}, {"ip", "modelship"}}

func tableExists(family, name string) bool {
	return exec.Command("nft", "list", "table", family, name).Run() == nil
}

// podLinks are the machine's ends of the pods' links.
func podLinks() []string {
	entries, _ := os.ReadDir(filepath.Join("/sys/class/net", podBridge, "brif"))
	var links []string
	for _, entry := range entries {
		links = append(links, entry.Name())
	}
	return links
}

// clearNetwork removes every link and table of a full cluster. Only the owner of the machine's lock, or of what a
// dead owner left, may call it.
func clearNetwork() {
	for _, link := range append(podLinks(), podBridge, nodeBridge) {
		if linkExists(link) {
			if err := run("ip", "link", "delete", link); err != nil && linkExists(link) {
				say("%v", err)
			}
		}
	}
	for _, table := range ourTables {
		if tableExists(table[0], table[1]) {
			if err := run("nft", "delete", "table", table[0], table[1]); err != nil {
				say("%v", err)
			}
		}
	}
}

// MachineRecord is how the machine was before the full level changed it.
type MachineRecord struct {
	// Active is true from up to down; Boot tells that a restart has undone the changes meanwhile.
	Active  bool              `json:"active"`
	Boot    string            `json:"boot"`
	Sysctls map[string]string `json:"sysctls"`
	Paths   []string          `json:"paths"`
	Tables  []string          `json:"tables"`
	CGroups []string          `json:"cgroups"`
}

// sysctls that the kubelet, kube-proxy, the CNI plugins or this program set.
var sysctls = []string{"net.ipv4.ip_forward", "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops",
	"kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes", "net.ipv4.conf.all.route_localnet",
	"net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_tcp_be_liberal"}

// outsidePaths are where Kubernetes and its helpers write unless they are told otherwise.
var outsidePaths = []string{"/run/containerd", "/run/netns", "/run/runc", "/run/nri", "/run/cni", "/run/xtables.lock", "/run/kubernetes",
	"/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/lib/kube-proxy", "/var/lib/etcd", "/var/log/pods", "/var/log/containers",
	"/etc/cni", "/etc/containerd", "/etc/kubernetes", "/opt/containerd", "/opt/cni", "/opt/nri", "/usr/libexec/kubernetes"}

func sysctlFile(name string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
}

func (l Layout) recordFile() string { return filepath.Join(l.clusters(), "machine-before.json") }

func (l Layout) loadRecord() (*MachineRecord, error) {
	raw, err := os.ReadFile(l.recordFile())
	if err != nil {
		return nil, err
	}
	record := &MachineRecord{}
	return record, json.Unmarshal(raw, record)
}

func bootID() string {
	raw, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw))
}

func (l Layout) recordIsActive() bool {
	record, err := l.loadRecord()
	return err == nil && record.Active && record.Boot == bootID()
}

// recordMachine remembers the machine as it is, unless a run that was killed has changed it already.
func (l Layout) recordMachine() error {
	if l.recordIsActive() {
		return nil
	}
	record := MachineRecord{Active: true, Boot: bootID(), Sysctls: map[string]string{}, Tables: tables(), CGroups: podCGroupRoots()}
	for _, name := range sysctls {
		if value, err := os.ReadFile(sysctlFile(name)); err == nil {
			record.Sysctls[name] = strings.TrimSpace(string(value))
		}
	}
	for _, path := range outsidePaths {
		if _, err := os.Lstat(path); err == nil {
			record.Paths = append(record.Paths, path)
		}
	}
	return l.saveRecord(&record)
}

func (l Layout) saveRecord(record *MachineRecord) error {
	raw, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(l.recordFile(), append(raw, '\n'), 0o644)
}

// restoreMachine puts back what recordMachine saw.
func (l Layout) restoreMachine() error {
	record, err := l.loadRecord()
	if err != nil || !record.Active {
		return nil
	}
	if record.Boot == bootID() {
		for name, before := range record.Sysctls {
			now, err := os.ReadFile(sysctlFile(name))
			if err == nil && strings.TrimSpace(string(now)) != before {
				if err := os.WriteFile(sysctlFile(name), []byte(before), 0o644); err != nil {
					say("%s stays %s: %v", name, strings.TrimSpace(string(now)), err)
				}
			}
		}
	}
	record.Active = false
	return l.saveRecord(record)
}

func tables() []string {
	said, err := output("nft", "list", "tables")
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(said), "\n")
}
