package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// registry speaks just enough of the distribution API to write one repository.
type registry struct {
	base       *url.URL // http://host:port
	repository string
	user, pass string
	token      string
	client     http.Client
}

func newRegistry(address, userPass, repository string) (*registry, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || repository == "" {
		return nil, fmt.Errorf("--registry must be a URL such as http://10.0.0.1:5000, and --name a repository such as alice/model (got %q, %q)", address, repository)
	}
	user, pass, _ := strings.Cut(userPass, ":")
	return &registry{base: base, repository: repository, user: user, pass: pass, client: http.Client{Timeout: 10 * time.Minute}}, nil
}

func (r *registry) url(path string) string {
	return r.base.JoinPath("v2", r.repository, path).String()
}

// do sends a request, once more when the registry asks for a bearer token first. body makes a fresh reader for each try.
func (r *registry) do(method, target, contentType string, size int64, body func() (io.ReadCloser, error)) (*http.Response, error) {
	for try := 0; ; try++ {
		request, err := http.NewRequest(method, target, nil)
		if err != nil {
			return nil, err
		}
		if body != nil {
			if request.Body, err = body(); err != nil {
				return nil, err
			}
			request.ContentLength = size
		}
		if contentType != "" {
			request.Header.Set("Content-Type", contentType)
		}
		switch {
		case r.token != "":
			request.Header.Set("Authorization", "Bearer "+r.token)
		case r.user != "":
			request.SetBasicAuth(r.user, r.pass)
		}
		response, err := r.client.Do(request)
		if err != nil {
			return nil, err
		}
		challenge := response.Header.Get("WWW-Authenticate")
		if response.StatusCode != http.StatusUnauthorized || try > 0 || !strings.HasPrefix(challenge, "Bearer ") {
			return response, nil
		}
		response.Body.Close()
		if err := r.login(challenge); err != nil {
			return nil, err
		}
	}
}

var challengeParameter = regexp.MustCompile(`(\w+)="([^"]*)"`)

func (r *registry) login(challenge string) error {
	parameters := map[string]string{}
	for _, match := range challengeParameter.FindAllStringSubmatch(challenge, -1) {
		parameters[match[1]] = match[2]
	}
	query := url.Values{"service": {parameters["service"]}, "scope": {"repository:" + r.repository + ":pull,push,delete"}}
	request, err := http.NewRequest(http.MethodGet, parameters["realm"]+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	if r.user != "" {
		request.SetBasicAuth(r.user, r.pass)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("token from %s: %w", parameters["realm"], err)
	}
	if r.token = answer.Token; r.token == "" {
		r.token = answer.AccessToken
	}
	return nil
}

// expect closes the response and turns an unexpected status into an error that quotes the registry.
func expect(response *http.Response, err error, statuses ...int) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for _, status := range statuses {
		if response.StatusCode == status {
			return nil
		}
	}
	words, _ := io.ReadAll(io.LimitReader(response.Body, 500))
	return fmt.Errorf("%s %s: %s: %s", response.Request.Method, response.Request.URL, response.Status, bytes.TrimSpace(words))
}

func (r *registry) putBlob(digest string, size int64, body func() (io.ReadCloser, error)) error {
	response, err := r.do(http.MethodHead, r.url("blobs/"+digest), "", 0, nil)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	response, err = r.do(http.MethodPost, r.url("blobs/uploads/"), "", 0, nil)
	if err := expect(response, err, http.StatusAccepted); err != nil {
		return err
	}
	upload, err := response.Request.URL.Parse(response.Header.Get("Location"))
	if err != nil {
		return err
	}
	query := upload.Query()
	query.Set("digest", digest)
	upload.RawQuery = query.Encode()
	response, err = r.do(http.MethodPut, upload.String(), "application/octet-stream", size, body)
	return expect(response, err, http.StatusCreated)
}

func (r *registry) putBytes(content []byte) (descriptor, error) {
	d := descriptor{Digest: digestOf(content), Size: int64(len(content))}
	return d, r.putBlob(d.Digest, d.Size, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
}

func (r *registry) putFile(path, digest string) (descriptor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return descriptor{}, err
	}
	return descriptor{Digest: digest, Size: info.Size()},
		r.putBlob(digest, info.Size(), func() (io.ReadCloser, error) { return os.Open(path) })
}

// putManifest stores a manifest or index under its digest and, when tags are given, under each of them.
func (r *registry) putManifest(manifest any, mediaType string, tags ...string) (descriptor, error) {
	content, err := json.Marshal(manifest)
	if err != nil {
		return descriptor{}, err
	}
	d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))}
	if len(tags) == 0 {
		tags = []string{d.Digest}
	}
	for _, tag := range tags {
		response, err := r.do(http.MethodPut, r.url("manifests/"+tag), mediaType, d.Size,
			func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if err := expect(response, err, http.StatusCreated); err != nil {
			return descriptor{}, err
		}
	}
	return d, nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
