package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// RegistryState is a further registry, as asked for.
type RegistryState struct {
	Listen      string `json:"listen"`
	Port        int    `json:"port"`
	Credentials string `json:"credentials,omitempty"` // USER:PASSWORD
	Hosts       string `json:"hosts,omitempty"`
}

func (r *RegistryState) address() string { return net.JoinHostPort(r.Listen, strconv.Itoa(r.Port)) }

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func (r *RegistryState) check() error {
	if net.ParseIP(r.Listen) == nil {
		return fmt.Errorf("--listen %q is not an address", r.Listen)
	}
	if r.Port < 1 || r.Port > 65535 {
		return errors.New("say --port with a number from 1 to 65535")
	}
	if user, password, found := strings.Cut(r.Credentials, ":"); r.Credentials != "" && (!found || user == "" || password == "") {
		return errors.New("--htpasswd wants USER:PASSWORD")
	}
	if r.Hosts != "" && !hostName.MatchString(r.Hosts) {
		return fmt.Errorf("--hosts %q is not a host name", r.Hosts)
	}
	for _, base := range baseHosts {
		if r.Hosts == base {
			return fmt.Errorf("--hosts %s belongs to the full level's own registry", base)
		}
	}
	return nil
}

// registryUp starts a further registry, or starts it again when it was asked for differently.
func (i *Instance) registryUp(wanted RegistryState) error {
	if err := wanted.check(); err != nil {
		return err
	}
	program, err := findProgram("docker-registry")
	if err != nil {
		return errors.New("docker-registry is not installed: on Debian run tests/cluster/run deps as root, elsewhere put the program on the PATH")
	}
	if state, err := i.loadState(); err == nil && state.Registry != nil && *state.Registry != wanted {
		i.stopParts(2*time.Second, "registry")
		if state.Registry.Hosts != "" {
			_ = os.RemoveAll(i.path("..", "hosts.d", state.Registry.Hosts))
		}
	}
	if err := i.saveState(&State{Registry: &wanted}); err != nil {
		return err
	}
	htpasswd := ""
	if user, password, found := strings.Cut(wanted.Credentials, ":"); found {
		htpasswd = i.path("htpasswd")
		// The registry accepts bcrypt only; the least cost, because every request pays it.
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		if err := writeFile(htpasswd, []byte(user+":"+string(hash)+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := writeFile(i.path("registry.yaml"), []byte(renderRegistry(wanted.address(), i.path("registry"), htpasswd)), 0o644); err != nil {
		return err
	}
	if wanted.Hosts != "" {
		if err := writeFile(hostsFile(i.Layout, wanted.Hosts), []byte(renderHosts(wanted.address())), 0o644); err != nil {
			return err
		}
	}
	registry, err := i.ensure("registry", false, program, "serve", i.path("registry.yaml"))
	if err != nil {
		return err
	}
	if err := waitFor("the registry", 20*time.Second, []*Started{registry}, func() error { return registryAnswers(wanted.address()) }); err != nil {
		return err
	}
	say("registry %s is up on %s", strings.TrimPrefix(i.Name, "registry-"), wanted.address())
	return nil
}

// registryAnswers is content with a refusal: a registry that wants a password works.
func registryAnswers(address string) error {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get("http://" + address + "/v2/")
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusUnauthorized {
		return errors.New(response.Status)
	}
	return nil
}
