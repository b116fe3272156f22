package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The node has a mount namespace of its own, held by a small process of this program. In it /run, /var/lib and
// /var/log are folders of the instance, because containerd, the kubelet and the CNI plugins write to fixed paths
// there. Nothing can leak onto the machine, and when the last process of the node is gone the kernel drops every
// mount, however the run ended. The same process holds the machine-wide lock.
const nodeCommandName = "hold-node"

// machineLock is an abstract socket: the kernel gives the name to one process and takes it back when that dies.
const machineLock = "@modelship-cluster"

// privateFolders are the machine's folders that the node has its own of.
var privateFolders = []string{"run", "var/lib", "var/log"}

func holdNode(arguments []string) error {
	if len(arguments) != 1 || os.Getenv(markPart) != "node" {
		return errors.New("this command is for the driver itself")
	}
	folder := arguments[0]
	listener, err := net.Listen("unix", machineLock)
	if err != nil {
		return fmt.Errorf("the machine's lock is taken: %w", err)
	}
	for _, name := range privateFolders {
		if err := syscall.Mount(filepath.Join(folder, "node", name), "/"+name, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("/%s of the node: %w", name, err)
		}
	}
	// Shared among the node's processes, so that volumes with mount propagation work; Go has cut the tie to the
	// machine's mounts when it made the namespace.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		os.Exit(0)
	}()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		_ = connection.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(connection, folder)
		connection.Close()
	}
}

// machineOwner is the folder of the instance that holds the machine's lock, or "".
func machineOwner() string {
	connection, err := net.DialTimeout("unix", machineLock, time.Second)
	if err != nil {
		return ""
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	owner, _ := io.ReadAll(io.LimitReader(connection, 4096))
	return string(owner)
}

// inNode makes a command line run among the node's mounts.
func (i *Instance) inNode(arguments []string) ([]string, error) {
	node := i.running("node")
	if node == nil {
		return nil, errors.New("the node is not running")
	}
	return append([]string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", node.PID), "--"}, arguments...), nil
}

func hiddenByNode(folder string) bool {
	for _, name := range privateFolders {
		if folder == "/"+name || strings.HasPrefix(folder, "/"+name+"/") {
			return true
		}
	}
	return false
}

// needed lists the programs the full level runs, each with the Debian package it comes in.
var needed = []struct{ program, debianPackage string }{
	{"runc", "runc"}, {"nft", "nftables"}, {"conntrack", "conntrack"}, {"ip", "iproute2"}, {"nsenter", "util-linux"},
	{"mount", "mount"}, {"docker-registry", "docker-registry"}, {"/usr/lib/cni/bridge", "containernetworking-plugins"},
	// Not the cluster's own needs, but those of who builds images for it.
	{"buildah", "buildah"}, {"debootstrap", "debootstrap"}, {"iptables", "iptables"},
}

const elsewhere = "on another machine use kind, minikube or any cluster a kubeconfig names; the api level (up --level api) needs no root"

func findProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, folder := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, filepath.Base(name))); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

func checkNodePrerequisites() error {
	if os.Geteuid() != 0 {
		return errors.New("the full level runs containers on this machine and needs root; " + elsewhere)
	}
	var missing []string
	for _, need := range needed {
		if need.program == "buildah" || need.program == "debootstrap" || need.program == "iptables" {
			continue
		}
		if _, err := findProgram(need.program); err != nil {
			missing = append(missing, need.debianPackage)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s; on Debian run tests/cluster/run deps; %s", strings.Join(missing, ", "), elsewhere)
	}
	return nil
}

// refuseBesideAnother says whose the running full cluster is when it is not this one.
func (i *Instance) refuseBesideAnother() error {
	if owner := machineOwner(); owner != "" && owner != i.dir() {
		return ownedBy(owner)
	}
	return nil
}

// claimMachine makes sure that the machine's one full cluster can be this one, and clears what a dead one left.
func (i *Instance) claimMachine() error {
	if hiddenByNode(i.dir()) {
		return fmt.Errorf("%s lies where the node has folders of its own (/%s): set MODELSHIP_BUILD_DIR to another place",
			i.Build, strings.Join(privateFolders, ", /"))
	}
	if err := i.refuseBesideAnother(); err != nil {
		return err
	}
	alias, exists := linkAlias(nodeBridge)
	if owner := ownerInAlias(alias); exists && owner != i.dir() {
		for _, process := range markedProcesses() {
			if process.Instance == owner {
				return ownedBy(owner)
			}
		}
		if owner == "" {
			return fmt.Errorf("a link %s is there already and was not made by this program: remove it with: ip link delete %s", nodeBridge, nodeBridge)
		}
		say("clearing what a killed run in %s left", owner)
		dead := (Layout{Build: filepath.Dir(filepath.Dir(owner))}).instance(filepath.Base(owner))
		dead.endNode()
		dead.removePodCGroups()
		clearNetwork()
		// Its record, not the machine's present state, says how things were before.
		if err := dead.restoreMachine(); err != nil {
			return err
		}
	}
	if !exists && tableExists("ip", "kube-proxy") && machineOwner() == "" && !i.recordIsActive() {
		return errors.New("this machine runs a kube-proxy already (nft table ip kube-proxy): two would undo each other's work; " +
			"if it is a leftover, remove it with: nft delete table ip kube-proxy")
	}
	return nil
}

func ownedBy(owner string) error {
	build := filepath.Dir(filepath.Dir(owner))
	return fmt.Errorf("a full cluster runs on this machine already, in %s; stop it with: MODELSHIP_BUILD_DIR=%s tests/cluster/run down --name %s",
		owner, build, filepath.Base(owner))
}

// upFull starts everything of the full level; what does not depend on each other starts at the same time.
func (i *Instance) upFull(state *State) error {
	if i.running("node") == nil {
		// Whatever is left of an earlier node has lost its mounts or will: as after a power cut, begin anew.
		i.endNode()
		i.removePodCGroups()
		clearNetwork()
		if err := i.clearNodeRuntime(); err != nil {
			return err
		}
	}
	if err := i.recordMachine(); err != nil {
		return err
	}
	if err := i.setUpNetwork(); err != nil {
		return err
	}
	if err := i.writeNodeConfiguration(state); err != nil {
		return err
	}
	runtime := make(chan error, 1)
	go func() { runtime <- i.startRuntime() }()
	err := i.upControlPlane(state)
	if err = errors.Join(err, <-runtime); err != nil {
		return err
	}
	return i.joinNode(state)
}

func (i *Instance) writeNodeConfiguration(state *State) error {
	runc, err := findProgram("runc")
	if err != nil {
		return err
	}
	address := fmt.Sprintf("%s:%d", nodeIP, registryPort)
	files := map[string]string{
		i.path("kubelet.yaml"):                                           renderKubelet(i, state),
		i.path("containerd.toml"):                                        renderContainerd(i, snapshotterFor(i.dir()), runc),
		i.path("cni", "10-modelship.conflist"):                           renderCNI(),
		i.path("registry.yaml"):                                          renderRegistry(address, i.path("registry"), ""),
		hostsFile(i.Layout, "docker.io"):                                 renderHosts(address),
		hostsFile(i.Layout, "_default"):                                  renderHosts(address),
		hostsFile(i.Layout, fmt.Sprintf("%s_%d_", nodeIP, registryPort)): renderHosts(address),
	}
	for path, content := range files {
		if err := writeFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// baseHosts are the names the full level itself maps, as against those of further registries.
var baseHosts = []string{"docker.io", "_default", fmt.Sprintf("%s_%d_", nodeIP, registryPort)}

func hostsFile(l Layout, host string) string {
	return filepath.Join(l.hostsDir(), host, "hosts.toml")
}

// overlayfs cannot be stacked on itself, which is what a build folder inside a container's own file system asks for.
func snapshotterFor(folder string) string {
	const overlayMagic = 0x794c7630
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err == nil && stat.Type == overlayMagic {
		return "native"
	}
	return "overlayfs"
}

// startRuntime starts the registry, the node's namespace and containerd, and gives it the pause image.
func (i *Instance) startRuntime() error {
	registryProgram, err := findProgram("docker-registry")
	if err != nil {
		return err
	}
	registry, err := i.ensure("registry", false, registryProgram, "serve", i.path("registry.yaml"))
	if err != nil {
		return err
	}
	node, err := i.ensure("node", false, i.bin("cluster-driver"), nodeCommandName, i.dir())
	if err != nil {
		return err
	}
	if err := waitFor("the node's namespace", 10*time.Second, []*Started{node}, func() error {
		if machineOwner() != i.dir() {
			return errors.New("it does not answer yet")
		}
		return nil
	}); err != nil {
		return err
	}
	containerd, err := i.ensure("containerd", true, i.bin("containerd"), "--config", i.path("containerd.toml"))
	if err != nil {
		return err
	}
	if err := waitFor("containerd", 60*time.Second, []*Started{containerd}, func() error {
		_, err := i.ctr(nil, "version")
		return err
	}); err != nil {
		return err
	}
	if err := i.importPause(); err != nil {
		return err
	}
	return waitFor("the registry", 20*time.Second, []*Started{registry}, func() error {
		return registryAnswers(fmt.Sprintf("%s:%d", nodeIP, registryPort))
	})
}

// joinNode starts what talks to the API server, and waits until pods can run and services can be reached.
func (i *Instance) joinNode(state *State) error {
	scheduler, err := i.ensure("kube-scheduler", false, schedulerArguments(i, state)...)
	if err != nil {
		return err
	}
	proxy, err := i.ensure("kube-proxy", false, kubeProxyArguments(i, state)...)
	if err != nil {
		return err
	}
	var since time.Time
	if i.running("kubelet") == nil {
		since = time.Now()
	}
	kubelet, err := i.ensure("kubelet", true, kubeletArguments(i, state)...)
	if err != nil {
		return err
	}
	api, err := i.api(state.server())
	if err != nil {
		return err
	}
	say("waiting for the node …")
	if err := waitFor("the node to be Ready", 90*time.Second, []*Started{kubelet}, func() error {
		return api.nodeReady(nodeName, since)
	}); err != nil {
		return err
	}
	return waitFor("the service network", 30*time.Second, []*Started{proxy, scheduler}, func() error {
		return dial(apiServiceIP + ":443")
	})
}

func dial(address string) error {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		connection.Close()
	}
	return err
}

// clearNodeRuntime forgets what a restart of a real machine would forget, and keeps the rest.
func (i *Instance) clearNodeRuntime() error {
	for _, gone := range []string{"run", "var/lib/cni"} {
		if err := os.RemoveAll(i.path("node", gone)); err != nil {
			return err
		}
	}
	for _, name := range privateFolders {
		if err := os.MkdirAll(i.path("node", name), 0o755); err != nil {
			return err
		}
	}
	return os.MkdirAll(i.path("node", "run", "netns"), 0o755)
}
