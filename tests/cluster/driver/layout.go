package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
)

// Level says how much of Kubernetes runs.
type Level string

const (
	// LevelAPI is etcd, the API server and the controllers: everything but pods, and no root.
	LevelAPI Level = "api"
	// LevelFull adds a scheduler and this machine as a node.
	LevelFull Level = "full"
)

func parseLevel(text string) (Level, error) {
	switch level := Level(text); level {
	case LevelAPI, LevelFull:
		return level, nil
	}
	return "", fmt.Errorf("level %q is not known: say --level api or --level full", text)
}

// Layout knows where things are: the pinned sources, and the one folder everything generated goes to.
type Layout struct {
	Source string // tests/cluster
	Build  string // build, or MODELSHIP_BUILD_DIR
}

func layoutFromEnvironment() (Layout, error) {
	source, build := os.Getenv("MODELSHIP_CLUSTER_SOURCE"), os.Getenv("MODELSHIP_BUILD_DIR")
	if source == "" || build == "" {
		return Layout{}, errors.New("start this through tests/cluster/run, which says where the sources and the build folder are")
	}
	build, err := filepath.Abs(build)
	if err != nil {
		return Layout{}, err
	}
	if err := os.MkdirAll(filepath.Join(build, "cluster"), 0o755); err != nil {
		return Layout{}, err
	}
	// One spelling of the folder: it is what the marks on processes and links are compared with.
	if build, err = filepath.EvalSymlinks(build); err != nil {
		return Layout{}, err
	}
	return Layout{Source: source, Build: build}, nil
}

func (l Layout) bin(name string) string         { return filepath.Join(l.Build, "bin", name) }
func (l Layout) clusters() string               { return filepath.Join(l.Build, "cluster") }
func (l Layout) hostsDir() string               { return filepath.Join(l.clusters(), "hosts.d") }
func (l Layout) instance(name string) *Instance { return &Instance{Layout: l, Name: name} }

// Instance is one cluster or one extra registry: a folder, and the processes marked with it.
type Instance struct {
	Layout
	Name string
}

var instanceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,38}[a-z0-9])?$`)

func checkInstanceName(name string) error {
	if !instanceName.MatchString(name) || name == "hosts.d" {
		return fmt.Errorf("name %q: use up to 40 of a-z, 0-9, '-' and '.', a letter or digit first and last", name)
	}
	return nil
}

func (i *Instance) dir() string { return filepath.Join(i.clusters(), i.Name) }

func (i *Instance) path(parts ...string) string {
	return filepath.Join(append([]string{i.dir()}, parts...)...)
}

func (i *Instance) kubeconfig() string { return i.path("kubeconfig") }

// State is what has to survive between two commands; everything else is found by looking.
type State struct {
	Level    Level          `json:"level"`
	Audit    bool           `json:"audit"`
	Ports    map[string]int `json:"ports"`
	Registry *RegistryState `json:"registry,omitempty"`
}

func (i *Instance) loadState() (*State, error) {
	raw, err := os.ReadFile(i.path("state.json"))
	if err != nil {
		return nil, err
	}
	state := &State{}
	if err := json.Unmarshal(raw, state); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): run down --name %s", i.path("state.json"), err, i.Name)
	}
	return state, nil
}

func (i *Instance) saveState(state *State) error {
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(i.path("state.json"), append(raw, '\n'), 0o600)
}

// instances lists every folder that holds state, whether it runs or not.
func (l Layout) instances() ([]*Instance, error) {
	found, err := filepath.Glob(filepath.Join(l.clusters(), "*", "state.json"))
	if err != nil {
		return nil, err
	}
	sort.Strings(found)
	var all []*Instance
	for _, file := range found {
		all = append(all, l.instance(filepath.Base(filepath.Dir(file))))
	}
	return all, nil
}

// writeFile replaces a file as a whole: a command that is killed half-way leaves the old one.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err := temporary.Write(content); err != nil {
		temporary.Close()
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	if err := os.Chmod(temporary.Name(), mode); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
