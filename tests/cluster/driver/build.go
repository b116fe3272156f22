package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Target is one Go module to build and what comes out of it.
type Target struct {
	Name     string
	Dir      string            // below tests/cluster
	Packages string            // what go build is told
	Produces []string          // executables in build/bin
	Links    []string          // further names of the first of them
	Names    map[string]string // what go build calls an executable: what it is called in build/bin, when that differs
	LDFlags  string
	Tags     string
	Hint     string
}

// stripped leaves the symbol tables out: nobody debugs these, and they are half of the size.
const stripped = "-s -w"

var (
	kubeTarget = Target{
		Name: "kube", Dir: "kube", Packages: ".", Produces: []string{"kube"},
		Links: []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"},
		// Without these the API server and the node report a placeholder for their version.
		LDFlags: stripped + " -X k8s.io/component-base/version.gitVersion=v1.36.3" +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
		Hint: "etcd, the Kubernetes components and kubectl; the first time takes 5 to 7 minutes",
	}
	containerdTarget = Target{
		Name: "containerd", Dir: "containerd", Packages: "tool", Produces: []string{"containerd", "containerd-shim-runc-v2", "ctr"},
		LDFlags: stripped + " -X github.com/containerd/containerd/v2/version.Version=v2.4.2",
		Hint:    "containerd, its shim and ctr; the first time takes about a minute",
	}
	pauseTarget = Target{
		Name: "pause", Dir: "driver", Packages: "./pause", Produces: []string{"pause"}, LDFlags: stripped,
		Hint: "the program that holds a pod's namespaces",
	}
)

// build makes what a level needs.
func (l Layout) build(level Level) error {
	targets := []Target{kubeTarget}
	if level == LevelFull {
		targets = append(targets, containerdTarget, pauseTarget)
	}
	for _, target := range targets {
		if err := l.buildTarget(target); err != nil {
			return err
		}
	}
	return nil
}

// tool is a program that is built on demand from tools/NAME; its go.mod names the commands.
func (l Layout) tool(name string) (Target, error) {
	known, err := l.tools()
	if err != nil {
		return Target{}, err
	}
	for _, tool := range known {
		if tool != name {
			continue
		}
		commands, err := toolCommands(filepath.Join(l.Source, "tools", name, "go.mod"))
		if err != nil {
			return Target{}, err
		}
		// What a project's own makefile would set, such as the Kubernetes version Helm assumes without a cluster.
		flags, err := l.words(name, "ldflags")
		if err != nil {
			return Target{}, err
		}
		tags, err := l.words(name, "tags")
		if err != nil {
			return Target{}, err
		}
		renamed, err := l.words(name, "names")
		if err != nil {
			return Target{}, err
		}
		names, err := parseNames(renamed)
		if err != nil {
			return Target{}, fmt.Errorf("tools/%s/names: %w", name, err)
		}
		for n, command := range commands {
			if other, found := names[command]; found {
				commands[n] = other
			}
		}
		return Target{
			Name: name, Dir: filepath.Join("tools", name), Packages: "tool", Produces: commands, Names: names,
			LDFlags: strings.Join(append([]string{stripped}, flags...), " "), Tags: strings.Join(tags, ","),
			Hint: "pinned in tools/" + name,
		}, nil
	}
	return Target{}, fmt.Errorf("no tool %q; there are: %s", name, strings.Join(known, ", "))
}

// words reads a file beside a tool's go.mod, which need not be there.
func (l Layout) words(tool, file string) ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(l.Source, "tools", tool, file))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return strings.Fields(string(raw)), nil
}

// parseNames reads pairs: a command, and what build/bin is to call it. "operator" would say too little there.
func parseNames(words []string) (map[string]string, error) {
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("%q: a command without another name", words[len(words)-1])
	}
	names := map[string]string{}
	for n := 0; n < len(words); n += 2 {
		names[words[n]] = words[n+1]
	}
	return names, nil
}

func (l Layout) tools() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(l.Source, "tools", "*", "go.mod"))
	var names []string
	for _, file := range found {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	return names, err
}

func toolCommands(gomod string) ([]string, error) {
	raw, err := os.ReadFile(gomod)
	if err != nil {
		return nil, err
	}
	commands := parseToolCommands(string(raw))
	if len(commands) == 0 {
		return nil, fmt.Errorf("%s has no tool line", gomod)
	}
	return commands, nil
}

// parseToolCommands returns the names of the executables that `go build tool` makes.
func parseToolCommands(gomod string) []string {
	var commands []string
	inBlock := false
	for _, line := range strings.Split(gomod, "\n") {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "tool" && fields[1] == "(":
			inBlock = true
		case inBlock && len(fields) == 1 && fields[0] == ")":
			inBlock = false
		case inBlock && len(fields) == 1:
			commands = append(commands, filepath.Base(fields[0]))
		case len(fields) == 2 && fields[0] == "tool":
			commands = append(commands, filepath.Base(fields[1]))
		}
	}
	return commands
}

// buildTarget builds unless the stamp says that exactly this was built before.
func (l Layout) buildTarget(target Target) error {
	stamp, err := l.stamp(target)
	if err != nil {
		return err
	}
	if l.upToDate(target, stamp) {
		return nil
	}
	// One at a time: these builds need every core and several gigabytes.
	release, err := lockFile(filepath.Join(l.Build, ".build.lock"), func() { say("waiting for another build to finish …") })
	if err != nil {
		return err
	}
	defer release()
	if l.upToDate(target, stamp) {
		return nil
	}
	say("building %s (%s) …", target.Name, target.Hint)
	began := time.Now()
	if err := os.MkdirAll(l.bin(""), 0o755); err != nil {
		return err
	}
	_ = os.Remove(l.stampFile(target))
	done := make(chan struct{})
	go everyMinute(done, func() { say("… %s: %s so far", target.Name, time.Since(began).Round(time.Second)) })
	err = l.compile(target)
	close(done)
	if err != nil {
		return fmt.Errorf("building %s: %w", target.Name, err)
	}
	for _, link := range target.Links {
		if err := replaceLink(target.Produces[0], l.bin(link)); err != nil {
			return err
		}
	}
	say("built %s in %s", target.Name, time.Since(began).Round(100*time.Millisecond))
	return writeFile(l.stampFile(target), []byte(stamp+"\n"), 0o644)
}

func everyMinute(done <-chan struct{}, tell func()) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			tell()
		}
	}
}

func (l Layout) compile(target Target) error {
	scratch, err := os.MkdirTemp(l.bin(""), "."+target.Name+".new.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	// A folder as the output keeps the commands' own names.
	out := filepath.Join(scratch, "out") + string(filepath.Separator)
	arguments := []string{"build", "-trimpath", "-ldflags", target.LDFlags, "-tags", target.Tags, "-o", out}
	source := filepath.Join(l.Source, target.Dir)
	if _, err := os.Stat(filepath.Join(source, additions)); err == nil {
		modfile, err := complete(source, scratch)
		if err != nil {
			return err
		}
		arguments = append(arguments, "-modfile", modfile)
	}
	if err := goCommand(source, append(arguments, target.Packages)...).Run(); err != nil {
		return err
	}
	built, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	for _, file := range built {
		name := file.Name()
		if other, found := target.Names[name]; found {
			name = other
		}
		if err := os.Rename(filepath.Join(out, file.Name()), l.bin(name)); err != nil {
			return err
		}
	}
	return nil
}

func goCommand(folder string, arguments ...string) *exec.Cmd {
	command := exec.Command("go", arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command
}

// additions is a folder beside go.mod. What is in it is laid into a copy of the module that the commands come from, when
// that lacks files which its makefile would generate.
const additions = "additions"

// complete makes that copy in scratch, and a go.mod that puts it in the module's place.
func complete(source, scratch string) (modfile string, err error) {
	list := goCommand(source, "list", "-find", "-f", "{{.Module.Path}} {{.Module.Dir}}", "tool")
	list.Stdout = nil
	listed, err := list.Output()
	if err != nil {
		return "", err
	}
	module, folder, _ := strings.Cut(strings.SplitN(string(listed), "\n", 2)[0], " ")
	whole := filepath.Join(scratch, "module")
	for _, part := range []string{folder, filepath.Join(source, additions)} {
		if err := os.CopyFS(whole, os.DirFS(part)); err != nil {
			return "", err
		}
	}
	raw, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(scratch, "go.sum"), sums, 0o644); err != nil {
		return "", err
	}
	modfile = filepath.Join(scratch, "go.mod")
	return modfile, writeFile(modfile, fmt.Appendf(raw, "\nreplace %s => %s\n", module, whole), 0o644)
}

func replaceLink(target, link string) error {
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	_ = os.Remove(link)
	return os.Symlink(target, link)
}

func (l Layout) stampFile(target Target) string { return l.bin("." + target.Name + ".stamp") }

func (l Layout) upToDate(target Target, stamp string) bool {
	written, err := os.ReadFile(l.stampFile(target))
	if err != nil || strings.TrimSpace(string(written)) != stamp {
		return false
	}
	for _, name := range append(append([]string{}, target.Produces...), target.Links...) {
		if _, err := os.Stat(l.bin(name)); err != nil {
			return false
		}
	}
	return true
}

// stamp is a hash of everything that decides what a build gives: versions and checksums, sources, flags, toolchain.
func (l Layout) stamp(target Target) (string, error) {
	toolchain, err := output("go", "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n%s\n", strings.TrimSpace(toolchain), target.Packages, target.LDFlags)
	if target.Tags != "" {
		fmt.Fprintln(hash, target.Tags)
	}
	folder := filepath.Join(l.Source, target.Dir)
	if target.Packages != "." && target.Packages != "tool" {
		folder = filepath.Join(folder, target.Packages)
	}
	if err := hashSources(os.DirFS(folder), hash.Write); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func hashSources(folder fs.FS, write func([]byte) (int, error)) error {
	var files []string
	err := fs.WalkDir(folder, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		ours := strings.HasPrefix(path, additions+"/") || (strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"))
		if !entry.IsDir() && (name == "go.mod" || name == "go.sum" || ours) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	sort.Strings(files)
	for _, file := range files {
		raw, err := fs.ReadFile(folder, file)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(raw)
		if _, err := write([]byte(fmt.Sprintf("%s %x\n", file, sum))); err != nil {
			return err
		}
	}
	return nil
}
