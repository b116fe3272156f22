package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is ours when its environment says so. The kernel keeps what a process was started with, so the mark
// cannot go stale the way a pid file does when a run is killed or the machine restarts.
const (
	markInstance = "MODELSHIP_CLUSTER_INSTANCE"
	markPart     = "MODELSHIP_CLUSTER_PART"
)

// Process is a running process that carries our mark.
type Process struct {
	PID      int
	Instance string // the folder of the instance
	Part     string
	Program  string // base name of the executable
}

// programOf tells a part from the helpers it started, which inherit its mark.
var programOf = map[string]string{
	"etcd": "kube", "kube-apiserver": "kube", "kube-controller-manager": "kube", "kube-scheduler": "kube",
	"kubelet": "kube", "kube-proxy": "kube", "containerd": "containerd", "registry": "docker-registry",
	"node": "cluster-driver",
}

func (p Process) isPart() bool { return programOf[p.Part] == p.Program }

// parseMarks reads the marks out of the contents of /proc/PID/environ.
func parseMarks(environ []byte) (instance, part string) {
	for _, entry := range bytes.Split(environ, []byte{0}) {
		key, value, _ := strings.Cut(string(entry), "=")
		switch key {
		case markInstance:
			instance = value
		case markPart:
			part = value
		}
	}
	return instance, part
}

func programName(executable string) string {
	return filepath.Base(strings.TrimSuffix(executable, " (deleted)"))
}

func pids() []int {
	entries, _ := os.ReadDir("/proc")
	var all []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// markedProcesses finds every live process with a mark of any checkout on this machine that we may look at.
func markedProcesses() []Process {
	var all []Process
	for _, pid := range pids() {
		folder := "/proc/" + strconv.Itoa(pid)
		environ, err := os.ReadFile(folder + "/environ")
		if err != nil || len(environ) == 0 {
			continue // Another user's, gone, or a zombie.
		}
		instance, part := parseMarks(environ)
		if instance == "" {
			continue
		}
		executable, err := os.Readlink(folder + "/exe")
		if err != nil {
			continue
		}
		all = append(all, Process{PID: pid, Instance: instance, Part: part, Program: programName(executable)})
	}
	return all
}

func (i *Instance) processes() []Process {
	var ours []Process
	for _, process := range markedProcesses() {
		if process.Instance == i.dir() {
			ours = append(ours, process)
		}
	}
	return ours
}

// running is the process of one part of the instance, or nil.
func (i *Instance) running(part string) *Process {
	for _, process := range i.processes() {
		if process.Part == part && process.isPart() {
			return &process
		}
	}
	return nil
}

// Started is a part this command has just started; its end can be noticed.
type Started struct {
	Part string
	PID  int
	log  string
	done chan struct{}
}

func (s *Started) ended() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (i *Instance) logFile(part string) string { return i.path("logs", part+".log") }

// start runs a part detached from this command, its output appended to its log. With inNode it runs among the
// node's own mounts (see node.go).
func (i *Instance) start(part string, inNode bool, arguments ...string) (*Started, error) {
	if err := os.MkdirAll(i.path("logs"), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(i.logFile(part), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s: %s\n", time.Now().UTC().Format(time.RFC3339), strings.Join(arguments, " "))
	if inNode {
		if arguments, err = i.inNode(arguments); err != nil {
			return nil, err
		}
	}
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Stdout, command.Stderr = log, log
	command.Dir = i.dir()
	command.Env = []string{
		"PATH=" + filepath.Join(i.Build, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + i.dir(),
		markInstance + "=" + i.dir(),
		markPart + "=" + part,
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if part == "node" {
		command.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	started := &Started{Part: part, PID: command.Process.Pid, log: i.logFile(part), done: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(started.done)
	}()
	return started, nil
}

// ensure starts a part unless it runs.
func (i *Instance) ensure(part string, inNode bool, arguments ...string) (*Started, error) {
	if i.running(part) != nil {
		return nil, nil
	}
	return i.start(part, inNode, arguments...)
}

// waitFor polls until the condition holds, the part has ended, or time is up; then it shows the log's last lines.
func waitFor(what string, limit time.Duration, parts []*Started, condition func() error) error {
	deadline := time.Now().Add(limit)
	var last error
	for {
		if last = condition(); last == nil {
			return nil
		}
		for _, part := range parts {
			if part.ended() {
				return fmt.Errorf("%s ended while waiting for %s; the end of %s:\n%s", part.Part, what, part.log, tail(part.log, 12))
			}
		}
		if time.Now().After(deadline) {
			message := fmt.Sprintf("%s: not within %s: %v", what, limit, last)
			for _, part := range parts {
				if part != nil {
					message += fmt.Sprintf("\nthe end of %s:\n%s", part.log, tail(part.log, 6))
				}
			}
			return errors.New(message)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func tail(file string, lines int) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	for n, line := range all {
		if len(line) > 400 {
			all[n] = line[:400] + "…"
		}
	}
	return "  " + strings.Join(all, "\n  ")
}

// stop asks the processes to end and then makes them. The mark is read again before the harder signal, so a pid
// that went to somebody else in between is left alone.
func stop(processes []Process, patience time.Duration, stillOurs func(Process) bool) {
	for _, process := range processes {
		_ = syscall.Kill(process.PID, syscall.SIGTERM)
	}
	deadline := time.Now().Add(patience)
	for {
		var left []Process
		for _, process := range processes {
			if stillOurs(process) {
				left = append(left, process)
			}
		}
		if processes = left; len(processes) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, process := range processes {
		_ = syscall.Kill(process.PID, syscall.SIGKILL)
	}
	for deadline = time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		alive := false
		for _, process := range processes {
			alive = alive || stillOurs(process)
		}
		if !alive {
			return
		}
	}
}

// stillMarked reports whether the pid is still the process it was.
func stillMarked(process Process) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", process.PID))
	if err != nil || len(environ) == 0 {
		return false
	}
	instance, part := parseMarks(environ)
	return instance == process.Instance && part == process.Part
}

// stopParts ends the named parts in the order given, each completely before the next.
func (i *Instance) stopParts(patience time.Duration, parts ...string) {
	for _, part := range parts {
		var ours []Process
		for _, process := range i.processes() {
			if process.Part == part && process.isPart() {
				ours = append(ours, process)
			}
		}
		stop(ours, patience, stillMarked)
	}
}

// run executes a helper program and returns what it said when it fails.
func run(program string, arguments ...string) error {
	_, err := output(program, arguments...)
	return err
}

func output(program string, arguments ...string) (string, error) {
	said, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil {
		return string(said), fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, strings.TrimSpace(string(said)))
	}
	return string(said), nil
}
