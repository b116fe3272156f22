package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
)

const policyFile = "/usr/sbin/policy-rc.d"

// installDependencies installs the Debian packages the full level needs, and starts no service that is in them.
func installDependencies() error {
	if os.Geteuid() != 0 {
		return errors.New("installing packages needs root; " + elsewhere)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("this is no Debian (apt-get is missing): install runc, the CNI plugins, nftables, conntrack and docker-registry " +
			"(distribution 2.8) yourself, or " + elsewhere)
	}
	var missing []string
	for _, need := range needed {
		if _, err := findProgram(need.program); err != nil {
			missing = append(missing, need.debianPackage)
		}
	}
	if len(missing) == 0 {
		say("nothing to install")
		return nil
	}
	say("installing %s …", strings.Join(missing, " "))
	// Debian's own way to keep packages from starting their services; the registry has one.
	if _, err := os.Lstat(policyFile); os.IsNotExist(err) {
		if err := os.WriteFile(policyFile, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return err
		}
		defer os.Remove(policyFile)
	}
	if err := apt("update", "-qq"); err != nil {
		return err
	}
	return apt(append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...)
}

func apt(arguments ...string) error {
	command := exec.Command("apt-get", arguments...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command.Run()
}
