package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// ctr runs containerd's client on the node, in the namespace that holds the kubelet's images.
func (i *Instance) ctr(stdin io.Reader, arguments ...string) (string, error) {
	arguments, err := i.inNode(append([]string{i.bin("ctr"), "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"}, arguments...))
	if err != nil {
		return "", err
	}
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Stdin = stdin
	said, err := command.CombinedOutput()
	if err != nil {
		return string(said), fmt.Errorf("ctr: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return string(said), nil
}

// load imports an archive. It is handed over as a stream: the file may lie where the node does not see it.
func (i *Instance) load(file, name string) error {
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	if i.running("containerd") == nil {
		return errors.New("the full level is not up: run up --level full first")
	}
	arguments := []string{"images", "import"}
	if name != "" {
		arguments = append(arguments, "--index-name", name)
	}
	said, err := i.ctr(archive, append(arguments, "-")...)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(said, "\n") {
		// What is left are ctr's own log lines and its totals.
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == "saved" {
			fmt.Println(fields[0])
		}
	}
	return nil
}

func (i *Instance) importPause() error {
	if images, err := i.ctr(nil, "images", "list", "--quiet"); err == nil && strings.Contains("\n"+images, "\n"+pauseImage+"\n") {
		return nil
	}
	program, err := os.ReadFile(i.bin("pause"))
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := writeImage(&archive, pauseImage, "/pause", program); err != nil {
		return err
	}
	_, err = i.ctr(&archive, "images", "import", "-")
	return err
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// writeImage writes an image of one static program as an OCI archive. The same program gives the same bytes.
func writeImage(out io.Writer, name, path string, program []byte) error {
	var layer bytes.Buffer
	if err := writeTar(&layer, map[string][]byte{strings.TrimPrefix(path, "/"): program}, []string{strings.TrimPrefix(path, "/")}, 0o755); err != nil {
		return err
	}
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	order := []string{"oci-layout"}
	add := func(mediaType string, content []byte) descriptor {
		sum := sha256.Sum256(content)
		digest := hex.EncodeToString(sum[:])
		files["blobs/sha256/"+digest] = content
		order = append(order, "blobs/sha256/"+digest)
		return descriptor{MediaType: mediaType, Digest: "sha256:" + digest, Size: len(content)}
	}
	layerDescriptor := add("application/vnd.oci.image.layer.v1.tar", layer.Bytes())
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{path}, "User": "65535:65535"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerDescriptor.Digest}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": add("application/vnd.oci.image.config.v1+json", config),
		"layers": []descriptor{layerDescriptor},
	})
	if err != nil {
		return err
	}
	entry := add("application/vnd.oci.image.manifest.v1+json", manifest)
	entry.Annotations = map[string]string{"io.containerd.image.name": name}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []descriptor{entry},
	})
	if err != nil {
		return err
	}
	files["index.json"] = index
	return writeTar(out, files, append(order, "index.json"), 0o644)
}

func writeTar(out io.Writer, files map[string][]byte, order []string, mode int64) error {
	writer := tar.NewWriter(out)
	for _, name := range order {
		if err := writer.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := writer.Write(files[name]); err != nil {
			return err
		}
	}
	return writer.Close()
}
