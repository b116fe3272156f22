package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// UpOptions is what a user may choose when a cluster starts.
type UpOptions struct {
	Level Level
	Name  string
	Audit bool
	Fresh bool
}

func (s *State) host() string {
	if s.Level == LevelFull {
		return nodeIP
	}
	return "127.0.0.1"
}

func (s *State) server() string { return fmt.Sprintf("https://%s:%d", s.host(), s.Ports["apiserver"]) }

// portNames are the ports every cluster has numbers for, whether its level uses them or not.
var portNames = []string{"etcd", "etcd-peer", "apiserver", "controller-manager", "scheduler", "kubelet-healthz",
	"proxy-healthz", "proxy-metrics"}

// freePorts picks ports below those the kernel hands out for outgoing connections and Kubernetes for NodePorts, so
// that they are still free when a part starts again later.
func freePorts(names []string) (map[string]int, error) {
	ports, taken := map[string]int{}, map[int]bool{}
	for _, name := range names {
		for tries := 0; ports[name] == 0; tries++ {
			if tries > 500 {
				return nil, errors.New("no free port between 18000 and 29999")
			}
			if port := 18000 + rand.IntN(12000); !taken[port] && portFree(port) {
				ports[name], taken[port] = port, true
			}
		}
	}
	return ports, nil
}

func portFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// lock keeps two commands off the same instance.
func (i *Instance) lock() (release func(), err error) {
	return lockFile(filepath.Join(i.clusters(), "."+i.Name+".lock"), func() {
		say("waiting for another command on %q to finish …", i.Name)
	})
}

func lockFile(path string, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		waiting()
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			file.Close()
			return nil, err
		}
	}
	return func() { file.Close() }, nil
}

func (l Layout) up(options UpOptions) error {
	began := time.Now()
	i := l.instance(options.Name)
	if options.Level == LevelFull {
		if err := errors.Join(checkNodePrerequisites(), i.refuseBesideAnother()); err != nil {
			return err
		}
	}
	if err := l.build(options.Level); err != nil {
		return err
	}
	release, err := i.lock()
	if err != nil {
		return err
	}
	defer release()
	if _, err := i.loadState(); options.Fresh && err == nil {
		if err := i.down(DownOptions{}); err != nil {
			return err
		}
	}
	if options.Level == LevelFull {
		if err := i.claimMachine(); err != nil {
			return err
		}
	}
	state, err := i.prepare(options)
	if err != nil {
		return err
	}
	if state.Level == LevelFull {
		err = i.upFull(state)
	} else {
		err = i.upControlPlane(state)
	}
	if err != nil {
		return err
	}
	say("%s is up after %.1f s; its kubeconfig:", i.Name, time.Since(began).Seconds())
	fmt.Println(i.kubeconfig())
	return nil
}

// prepare reads the state of an earlier run or begins a new one, and sees that its ports are still to be had.
func (i *Instance) prepare(options UpOptions) (*State, error) {
	state, err := i.loadState()
	switch {
	case errors.Is(err, os.ErrNotExist):
		state = &State{Level: options.Level, Audit: options.Audit}
	case err != nil:
		return nil, err
	case state.Registry != nil:
		return nil, fmt.Errorf("%q is a registry, not a cluster", i.Name)
	case state.Level != options.Level:
		return nil, fmt.Errorf("%q is a cluster of level %s: run down --name %s first, or choose another --name", i.Name, state.Level, i.Name)
	}
	if i.running("etcd") == nil && i.running("kube-apiserver") == nil {
		state.Audit = options.Audit
		usable := len(state.Ports) == len(portNames)
		for _, port := range state.Ports {
			usable = usable && portFree(port)
		}
		if !usable {
			// Parts that outlived their API server would go on talking to the old port.
			i.stopParts(3*time.Second, "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
			if state.Ports, err = freePorts(portNames); err != nil {
				return nil, err
			}
		}
	} else if state.Audit != options.Audit {
		say("%s runs already, with --audit=%v; use --fresh to start it anew", i.Name, state.Audit)
	}
	if err := i.saveState(state); err != nil {
		return nil, err
	}
	return state, i.makePKI()
}

// upControlPlane starts the store, the API server and the controllers. It is all of the api level.
func (i *Instance) upControlPlane(state *State) error {
	if err := writeFile(i.path("audit-policy.yaml"), []byte(auditPolicy), 0o644); err != nil {
		return err
	}
	if err := i.componentKubeconfig(i.kubeconfig(), state.server(), "admin"); err != nil {
		return err
	}
	components := []string{"kube-controller-manager"}
	if state.Level == LevelFull {
		components = append(components, "kube-scheduler", "kube-proxy", "kubelet")
	}
	for _, name := range components {
		if err := i.componentKubeconfig(i.path("kubeconfigs", name), state.server(), name); err != nil {
			return err
		}
	}

	// The API server retries until the store answers, so both start at once.
	etcd, err := i.ensure("etcd", false, etcdArguments(i, state)...)
	if err != nil {
		return err
	}
	apiserver, err := i.ensure("kube-apiserver", false, apiserverArguments(i, state)...)
	if err != nil {
		return err
	}
	api, err := i.api(state.server())
	if err != nil {
		return err
	}
	say("waiting for the API server …")
	if err := waitFor("the API server", 90*time.Second, []*Started{etcd, apiserver}, api.ready); err != nil {
		return err
	}
	controllers, err := i.ensure("kube-controller-manager", false, controllerArguments(i, state)...)
	if err != nil {
		return err
	}
	// Its existence shows that the controllers work; pods cannot be created without it.
	return waitFor("the default service account", 60*time.Second, []*Started{controllers, apiserver}, func() error {
		return api.get("/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}
