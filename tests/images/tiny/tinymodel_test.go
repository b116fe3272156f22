package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// memory is the least registry that a push needs: blobs by digest, manifests by tag and digest.
type memory struct {
	sync.Mutex
	blobs, manifests map[string][]byte
	uploads          int
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.Lock()
	defer m.Unlock()
	body, _ := io.ReadAll(r.Body)
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case r.Method == http.MethodHead && m.blobs[name] != nil:
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPost:
		w.Header().Set("Location", "/v2/upload?state=x")
		w.WriteHeader(http.StatusAccepted)
	case r.URL.Path == "/v2/upload":
		m.uploads++
		m.blobs[r.URL.Query().Get("digest")] = body
		w.WriteHeader(http.StatusCreated)
	default:
		m.manifests[name] = body
		w.WriteHeader(http.StatusCreated)
	}
}

func pushTo(t *testing.T, registry *memory, flags ...string) pushed {
	t.Helper()
	server := httptest.NewServer(registry)
	defer server.Close()
	stdout := os.Stdout
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = writer
	err = push(append([]string{"--registry", server.URL, "--name", "alice/model"}, flags...))
	os.Stdout = stdout
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	var result pushed
	if err := json.NewDecoder(reader).Decode(&result); err != nil {
		t.Fatal(err)
	}
	return result
}

func newMemory() *memory { return &memory{blobs: map[string][]byte{}, manifests: map[string][]byte{}} }

func TestEqualFlagsGiveAnEqualDigestAndUploadNothingAgain(t *testing.T) {
	registry := newMemory()
	first := pushTo(t, registry, "--answer", "1", "--crash", "--latency", "5ms")
	uploads := registry.uploads
	again := pushTo(t, registry, "--answer", "1", "--crash", "--latency", "5ms")
	if again.Digest != first.Digest || registry.uploads != uploads {
		t.Errorf("%s, then %s; %d uploads, then %d", first.Digest, again.Digest, uploads, registry.uploads)
	}
	if other := pushTo(t, registry, "--answer", "2"); other.Digest == first.Digest || registry.uploads != uploads+1 {
		t.Errorf("another answer: digest %s, %d uploads beyond its config", other.Digest, registry.uploads-uploads)
	}
}

func TestAnotherAttestationMovesTheIndexAndNoPlatform(t *testing.T) {
	registry := newMemory()
	one := pushTo(t, registry, "--platforms", "linux/amd64,linux/arm64", "--attestation", "1")
	two := pushTo(t, registry, "--platforms", "linux/amd64,linux/arm64", "--attestation", "2")
	if one.Digest == two.Digest || len(two.Attestations) != 2 {
		t.Errorf("the index did not move: %s, %v", two.Digest, two.Attestations)
	}
	for platform, digest := range one.Platforms {
		if two.Platforms[platform] != digest {
			t.Errorf("%s moved from %s to %s", platform, digest, two.Platforms[platform])
		}
	}
	if digestOf(registry.manifests["latest"]) != two.Digest {
		t.Error("the tag does not name the index that was pushed last")
	}
}

func TestAnImageOfAProgramHoldsItWhereItWasAskedFor(t *testing.T) {
	program := t.TempDir() + "/tool"
	if err := os.WriteFile(program, []byte("\x7fELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	packed, _, err := packLayer(list{program + "=/bin/tool"})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	header, err := tar.NewReader(plain).Next()
	if err != nil || header.Name != "bin/tool" || header.Mode != 0o755 || header.Size != 4 {
		t.Errorf("got %+v, %v", header, err)
	}
	if _, _, err := packLayer(list{program}); err == nil {
		t.Error("want an error without a path in the image")
	}
}

func TestEveryShapeOfRequestIsCounted(t *testing.T) {
	for body, want := range map[string]int{
		`{"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}`: 2,
		`{"dataframe_records": [{"a": 1}]}`:                           1,
		`{"instances": [[1], [2], [3]]}`:                              3,
		`{"inputs": [1, 2]}`:                                          2,
		`{"inputs": {"a": [1]}}`:                                      1,
	} {
		if got, err := countRows(strings.NewReader(body)); err != nil || got != want {
			t.Errorf("%s: %d rows, %v", body, got, err)
		}
	}
	for _, body := range []string{"", "[1]", "{}", `{"rows": 1}`} {
		if _, err := countRows(strings.NewReader(body)); err == nil {
			t.Errorf("%q was accepted", body)
		}
	}
}
