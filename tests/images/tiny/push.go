package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

func (p platform) String() string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

func parsePlatform(text string) (platform, error) {
	parts := strings.Split(text, "/")
	switch len(parts) {
	case 2:
		return platform{OS: parts[0], Architecture: parts[1]}, nil
	case 3:
		return platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}, nil
	}
	return platform{}, fmt.Errorf("--platforms: %q is not os/architecture", text)
}

type imageManifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type imageIndex struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// types are the media types of one family; registries and runtimes must take both.
type types struct{ manifest, index, config, layer string }

var families = map[string]types{
	"oci": {
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
		"application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip",
	},
	"docker": {
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip",
	},
}

type runConfig struct {
	User         string              `json:"User,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
}

type imageConfig struct {
	platform
	Config  runConfig `json:"config"`
	RootFS  rootFS    `json:"rootfs"`
	History []history `json:"history"`
}

// history is of one layer. Who builds from an image counts them.
type history struct {
	CreatedBy string `json:"created_by"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// destination holds the flags that push, image and delete share.
type destination struct {
	flags                *flag.FlagSet
	registry, user, name string
	tags, family         string
}

func newDestination(command string) *destination {
	d := &destination{flags: flag.NewFlagSet(command, flag.ExitOnError)}
	d.flags.StringVar(&d.registry, "registry", "", "registry's URL, e.g. http://10.0.0.1:5000")
	d.flags.StringVar(&d.user, "user", "", "USER:PASSWORD, for basic auth and for token servers")
	d.flags.StringVar(&d.name, "name", "", "repository, e.g. alice/model")
	return d
}

func (d *destination) imageFlags() {
	d.flags.StringVar(&d.tags, "tag", "latest", "tags, separated by commas; empty: push by digest only")
	d.flags.StringVar(&d.family, "media", "oci", "media types: oci or docker")
}

func (d *destination) open(arguments []string) (*registry, types, error) {
	_ = d.flags.Parse(arguments) // ExitOnError: it returns no error
	if d.flags.NArg() > 0 {
		return nil, types{}, fmt.Errorf("unexpected argument %q", d.flags.Arg(0))
	}
	family, known := families[d.family]
	if !known && d.family != "" {
		return nil, types{}, fmt.Errorf("--media must be oci or docker, not %q", d.family)
	}
	registry, err := newRegistry(d.registry, d.user, d.name)
	return registry, family, err
}

func (d *destination) tagList() []string {
	return slices.DeleteFunc(strings.Split(d.tags, ","), func(tag string) bool { return tag == "" })
}

// pushed is what push and image print, as one line of JSON.
type pushed struct {
	Name         string            `json:"name"`
	Tags         []string          `json:"tags"`
	Digest       string            `json:"digest"`    // what a tag resolves to: index or manifest
	MediaType    string            `json:"mediaType"` // of that
	Platforms    map[string]string `json:"platforms"` // platform → digest of its own manifest
	Attestations []string          `json:"attestations,omitempty"`
}

// list collects a flag that may be given several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, ",") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func pairs(l list) (map[string]string, error) {
	m := map[string]string{}
	for _, pair := range l {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, fmt.Errorf("%q is not KEY=VALUE", pair)
		}
		m[key] = value
	}
	return m, nil
}

func push(arguments []string) error {
	d := newDestination("push")
	d.imageFlags()
	var labels list
	answer := d.flags.String("answer", "0", "what every row's prediction is: a JSON value, or else taken as a string")
	port := d.flags.Int("port", 8080, "port the server listens on")
	loopback := d.flags.Bool("loopback", false, "listen on 127.0.0.1 only")
	startDelay := d.flags.Duration("start-delay", 0, "time before the port opens")
	latency := d.flags.Duration("latency", 0, "time every prediction takes")
	crash := d.flags.Bool("crash", false, "exit with 1 at start")
	crashAfter := d.flags.Duration("crash-after", 0, "exit with 1 this long after the port opened")
	unhealthy := d.flags.Bool("unhealthy", false, "health paths answer 503")
	unhealthyAfter := d.flags.Duration("unhealthy-after", 0, "health paths answer 503 this long after the port opened")
	fail := d.flags.Bool("fail", false, "predictions answer 400, as MLflow does when the model raises")
	runAs := d.flags.String("run-as", "", "the image's USER; empty is root, as in MLflow's images")
	nonce := d.flags.String("nonce", "", "a label of this value: another digest with the same behaviour")
	platforms := d.flags.String("platforms", "", "push an index of these, e.g. linux/amd64,linux/arm64; each holds this machine's program, so only this machine's own can run")
	attestations := d.flags.Int("attestation", 0, "add N attestation children (unknown/unknown); another N moves only the index's digest")
	d.flags.Var(&labels, "label", "KEY=VALUE, repeatable")
	registry, family, err := d.open(arguments)
	if err != nil {
		return err
	}

	if !json.Valid([]byte(*answer)) {
		*answer = strconv.Quote(*answer)
	}
	host := "0.0.0.0"
	if *loopback {
		host = "127.0.0.1"
	}
	run := runConfig{
		User:         *runAs,
		Entrypoint:   []string{"/tinymodel", "serve"},
		ExposedPorts: map[string]struct{}{fmt.Sprintf("%d/tcp", *port): {}},
		Env:          []string{"PATH=/", envAnswer + "=" + *answer, fmt.Sprintf("%s=%s:%d", envListen, host, *port)},
	}
	for variable, value := range map[string]time.Duration{
		envStartDelay: *startDelay, envLatency: *latency, envCrashAfter: *crashAfter, envUnhealthyAfter: *unhealthyAfter,
	} {
		if value > 0 {
			run.Env = append(run.Env, variable+"="+value.String())
		}
	}
	for variable, set := range map[string]bool{envCrash: *crash, envUnhealthy: *unhealthy, envFail: *fail} {
		if set {
			run.Env = append(run.Env, variable+"=true")
		}
	}
	slices.Sort(run.Env) // maps have no order, and equal flags must give equal digests
	if run.Labels, err = pairs(labels); err != nil {
		return err
	}
	if *nonce != "" {
		run.Labels["tinymodel.nonce"] = *nonce
	}

	layer, diffID, err := ownLayer()
	if err != nil {
		return err
	}
	stored, err := registry.putBytes(layer)
	if err != nil {
		return err
	}
	stored.MediaType = family.layer
	layers, diffIDs := []descriptor{stored}, []string{diffID}

	tags := d.tagList()
	result := pushed{Name: d.name, Tags: tags, Platforms: map[string]string{}}
	if *platforms == "" && *attestations == 0 {
		own := platform{OS: "linux", Architecture: runtime.GOARCH}
		manifest, err := putImage(registry, family, own, run, layers, diffIDs, tags...)
		if err != nil {
			return err
		}
		result.Digest, result.MediaType, result.Platforms[own.String()] = manifest.Digest, manifest.MediaType, manifest.Digest
		return json.NewEncoder(os.Stdout).Encode(result)
	}

	if *platforms == "" {
		*platforms = "linux/" + runtime.GOARCH
	}
	index := imageIndex{SchemaVersion: 2, MediaType: family.index}
	for _, text := range strings.Split(*platforms, ",") {
		p, err := parsePlatform(text)
		if err != nil {
			return err
		}
		manifest, err := putImage(registry, family, p, run, layers, diffIDs)
		if err != nil {
			return err
		}
		manifest.Platform = &p
		index.Manifests = append(index.Manifests, manifest)
		result.Platforms[p.String()] = manifest.Digest
	}
	for n := range *attestations {
		attestation, err := putAttestation(registry, family, index.Manifests[0].Digest, n, *attestations)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, attestation)
		result.Attestations = append(result.Attestations, attestation.Digest)
	}
	stored, err = registry.putManifest(index, family.index, tags...)
	if err != nil {
		return err
	}
	result.Digest, result.MediaType = stored.Digest, stored.MediaType
	return json.NewEncoder(os.Stdout).Encode(result)
}

func putImage(r *registry, family types, p platform, run runConfig, layers []descriptor, diffIDs []string, tags ...string) (descriptor, error) {
	made := slices.Repeat([]history{{CreatedBy: "tinymodel"}}, len(diffIDs))
	content, err := json.Marshal(imageConfig{platform: p, Config: run, RootFS: rootFS{Type: "layers", DiffIDs: diffIDs}, History: made})
	if err != nil {
		return descriptor{}, err
	}
	config, err := r.putBytes(content)
	if err != nil {
		return descriptor{}, err
	}
	config.MediaType = family.config
	return r.putManifest(imageManifest{SchemaVersion: 2, MediaType: family.manifest, Config: config, Layers: layers}, family.manifest, tags...)
}

// putAttestation writes what BuildKit adds beside an image: a manifest for the platform unknown/unknown.
func putAttestation(r *registry, family types, subject string, n, of int) (descriptor, error) {
	statement, err := r.putBytes(fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":"%s"}}],"predicate":{"number":%d,"of":%d}}`,
		strings.TrimPrefix(subject, "sha256:"), n, of))
	if err != nil {
		return descriptor{}, err
	}
	statement.MediaType = "application/vnd.in-toto+json"
	unknown := platform{OS: "unknown", Architecture: "unknown"}
	manifest, err := putImage(r, family, unknown, runConfig{}, []descriptor{statement}, []string{statement.Digest})
	manifest.Platform = &unknown
	manifest.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": subject,
	}
	return manifest, err
}

// ownLayer packs the running program.
func ownLayer() (compressed []byte, diffID string, err error) {
	path, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return packLayer(list{path + "=tinymodel"})
}

// packLayer packs executables, given as FILE=PATH/IN/THE/IMAGE, byte for byte the same each time.
func packLayer(programs list) (compressed []byte, diffID string, err error) {
	var archive, packed bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, pair := range programs {
		file, name, found := strings.Cut(pair, "=")
		if !found {
			return nil, "", fmt.Errorf("%q is not FILE=PATH/IN/THE/IMAGE", pair)
		}
		program, err := os.ReadFile(file)
		if err != nil {
			return nil, "", err
		}
		header := tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o755, Size: int64(len(program)), Format: tar.FormatUSTAR}
		if err := writer.WriteHeader(&header); err != nil {
			return nil, "", err
		}
		if _, err := writer.Write(program); err != nil {
			return nil, "", err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, "", err
	}
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, "", err
	}
	if _, err := zip.Write(archive.Bytes()); err != nil {
		return nil, "", err
	}
	if err := zip.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), digestOf(archive.Bytes()), nil
}

// image pushes static programs as they are, or layers that were packed before. Beside x.tar.gz lie x.tar.gz.digest and x.tar.gz.diffid, the sha256 of
// the compressed and of the plain archive, so that a large base layer is hashed once and not on every push.
func image(arguments []string) error {
	d := newDestination("image")
	d.imageFlags()
	var files, programs, environment, entrypoint, labels list
	d.flags.Var(&programs, "program", "FILE=PATH/IN/THE/IMAGE: a static executable, repeatable; they make up the topmost layer")
	d.flags.Var(&files, "layer", "a .tar.gz with .digest and .diffid beside it; repeatable, lowest first")
	d.flags.Var(&environment, "env", "KEY=VALUE, repeatable")
	d.flags.Var(&entrypoint, "entrypoint", "one word of the command, repeatable")
	d.flags.Var(&labels, "label", "KEY=VALUE, repeatable")
	runAs := d.flags.String("run-as", "", "the image's USER")
	workdir := d.flags.String("workdir", "/", "the image's working directory")
	registry, family, err := d.open(arguments)
	if err != nil {
		return err
	}
	run := runConfig{User: *runAs, Env: environment, Entrypoint: entrypoint, WorkingDir: *workdir}
	if run.Labels, err = pairs(labels); err != nil {
		return err
	}
	var layers []descriptor
	var diffIDs []string
	for _, file := range files {
		digest, err := sideFile(file + ".digest")
		if err != nil {
			return err
		}
		diffID, err := sideFile(file + ".diffid")
		if err != nil {
			return err
		}
		layer, err := registry.putFile(file, digest)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		layer.MediaType = family.layer
		layers, diffIDs = append(layers, layer), append(diffIDs, diffID)
	}
	if len(programs) > 0 {
		packed, diffID, err := packLayer(programs)
		if err != nil {
			return err
		}
		layer, err := registry.putBytes(packed)
		if err != nil {
			return err
		}
		layer.MediaType = family.layer
		layers, diffIDs = append(layers, layer), append(diffIDs, diffID)
	}
	own := platform{OS: "linux", Architecture: runtime.GOARCH}
	manifest, err := putImage(registry, family, own, run, layers, diffIDs, d.tagList()...)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(pushed{
		Name: d.name, Tags: d.tagList(), Digest: manifest.Digest, MediaType: manifest.MediaType,
		Platforms: map[string]string{own.String(): manifest.Digest},
	})
}

func sideFile(path string) (string, error) {
	content, err := os.ReadFile(path)
	return "sha256:" + strings.TrimSpace(string(content)), err
}

func remove(arguments []string) error {
	d := newDestination("delete")
	digest := d.flags.String("digest", "", "digest of the manifest or index to delete")
	registry, _, err := d.open(arguments)
	if err != nil {
		return err
	}
	response, err := registry.do("DELETE", registry.url("manifests/"+*digest), "", 0, nil)
	return expect(response, err, 202)
}
