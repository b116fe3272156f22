package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// API is the little of a client the driver needs: it asks whether things are there.
type API struct {
	server string
	client *http.Client
}

func (i *Instance) api(server string) (*API, error) {
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(i.pki("ca.crt"))
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(i.pki("admin.crt"), i.pki("admin.key"))
	if err != nil {
		return nil, err
	}
	return &API{server: server, client: &http.Client{
		Timeout: 3 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		}},
	}}, nil
}

func (a *API) get(path string, into any) error {
	response, err := a.client.Get(a.server + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

func (a *API) ready() error { return a.get("/readyz", nil) }

// nodeReady reports the node's Ready condition as an error when it is not True. A condition older than since does
// not count: it is what a kubelet said that has died meanwhile.
func (a *API) nodeReady(name string, since time.Time) error {
	var node struct {
		Status struct {
			Conditions []struct {
				Type, Status, Message string
				LastHeartbeatTime     time.Time
			}
		}
	}
	if err := a.get("/api/v1/nodes/"+name, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			if condition.LastHeartbeatTime.Before(since.Truncate(time.Second)) {
				return errors.New("the kubelet has not reported yet")
			}
			if condition.Status == "True" {
				return nil
			}
			return errors.New(condition.Message)
		}
	}
	return errors.New("the node has no Ready condition yet")
}
