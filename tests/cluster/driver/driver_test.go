package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func testInstance(t *testing.T) *Instance {
	t.Helper()
	return Layout{Source: "/source", Build: t.TempDir()}.instance("blue")
}

func stampOf(t *testing.T, files fstest.MapFS) string {
	t.Helper()
	var hash bytes.Buffer
	if err := hashSources(files, hash.Write); err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestStampChangesWithVersionsAndSourcesOnly(t *testing.T) {
	base := fstest.MapFS{"go.mod": {Data: []byte("module a")}, "go.sum": {Data: []byte("1")}, "main.go": {Data: []byte("package main")}}
	stamp := stampOf(t, base)
	for name, changes := range map[string]bool{"go.mod": true, "go.sum": true, "main.go": true, "sub/more.go": true, "main_test.go": false, "README.md": false} {
		changed := fstest.MapFS{name: {Data: []byte("something else")}}
		for path, file := range base {
			if path != name {
				changed[path] = file
			}
		}
		if got := stampOf(t, changed) != stamp; got != changes {
			t.Errorf("a change of %s: stamp changed is %v, want %v", name, got, changes)
		}
	}
}

func TestAStampWithoutItsExecutableIsNotUpToDate(t *testing.T) {
	layout := Layout{Build: t.TempDir()}
	target := Target{Name: "a", Produces: []string{"a"}, Links: []string{"b"}}
	if err := writeFile(layout.stampFile(target), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if layout.upToDate(target, "1") {
		t.Error("up to date although nothing is built")
	}
	if err := writeFile(layout.bin("a"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := replaceLink("a", layout.bin("b")); err != nil {
		t.Fatal(err)
	}
	if !layout.upToDate(target, "1") || layout.upToDate(target, "2") {
		t.Error("want up to date for the stamp that was written, and for no other")
	}
}

func TestToolCommandsAreReadFromGoMod(t *testing.T) {
	got := parseToolCommands("module x\n\ntool example.com/one/cmd/alpha // why\ntool (\n\texample.com/two/cmd/beta\n)\nrequire example.com/one v1.0.0\n")
	if strings.Join(got, " ") != "alpha beta" {
		t.Errorf("got %v", got)
	}
}

func TestAToolIsBuiltAsTheFilesBesideItsGoModSay(t *testing.T) {
	layout := Layout{Source: t.TempDir(), Build: t.TempDir()}
	for file, content := range map[string]string{
		"go.mod": "module x\n\ntool example.com/one/cmd/operator\n", "ldflags": "-X a=b\n", "tags": "netgo no_ui\n", "names": "operator one-operator\n",
	} {
		if err := writeFile(filepath.Join(layout.Source, "tools", "one", file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tool, err := layout.tool("one")
	if err != nil {
		t.Fatal(err)
	}
	if tool.LDFlags != stripped+" -X a=b" || tool.Tags != "netgo,no_ui" || strings.Join(tool.Produces, " ") != "one-operator" {
		t.Errorf("got %+v", tool)
	}
}

func TestNamesComeInPairs(t *testing.T) {
	if names, err := parseNames([]string{"a", "b", "c", "d"}); err != nil || names["a"] != "b" || names["c"] != "d" {
		t.Errorf("got %v, %v", names, err)
	}
	if _, err := parseNames([]string{"a", "b", "c"}); err == nil {
		t.Error("want an error for a command without another name")
	}
}

func TestAStampTellsTagsAndAdditionsApart(t *testing.T) {
	layout := Layout{Source: t.TempDir(), Build: t.TempDir()}
	target := Target{Name: "one", Dir: "tools/one", Packages: "tool"}
	write := func(file, content string) {
		t.Helper()
		if err := writeFile(filepath.Join(layout.Source, target.Dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stamps := map[string]bool{}
	stamp := func() {
		t.Helper()
		stamp, err := layout.stamp(target)
		if err != nil {
			t.Fatal(err)
		}
		stamps[stamp] = true
	}
	write("go.mod", "module x\n")
	stamp()
	target.Tags = "netgo"
	stamp()
	write(additions+"/ui/page.html", "one")
	stamp()
	write(additions+"/ui/page.html", "two")
	stamp()
	if len(stamps) != 4 {
		t.Errorf("want four different stamps, got %d", len(stamps))
	}
}

func TestAProcessIsOursByItsMarks(t *testing.T) {
	environ := []byte("PATH=/bin\x00" + markInstance + "=/build/cluster/blue\x00" + markPart + "=etcd\x00HOME=/\x00")
	if instance, part := parseMarks(environ); instance != "/build/cluster/blue" || part != "etcd" {
		t.Errorf("got %q %q", instance, part)
	}
	if instance, _ := parseMarks([]byte("X" + markInstance + "=/build/cluster/blue\x00")); instance != "" {
		t.Errorf("a longer name was taken for the mark: %q", instance)
	}
}

func TestAHelperThatInheritsTheMarkIsNotThePart(t *testing.T) {
	for program, want := range map[string]bool{"/b/bin/containerd": true, "/b/bin/containerd (deleted)": true, "/b/bin/containerd-shim-runc-v2": false, "/usr/bin/nsenter": false} {
		if got := (Process{Part: "containerd", Program: programName(program)}).isPart(); got != want {
			t.Errorf("%s: got %v", program, got)
		}
	}
}

func TestStopLeavesAPidThatWentToSomebodyElse(t *testing.T) {
	if stillMarked(Process{PID: os.Getpid(), Instance: "/build/cluster/blue", Part: "etcd"}) {
		t.Error("this test's own process was taken for a part")
	}
}

func TestMountInfoIsParsedWithEscapesAndOptionalFields(t *testing.T) {
	mounts := parseMountInfo(`27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:25 / /a\040b rw shared:5 master:1 - tmpfs none rw
31 27 0:40 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/build/cluster/blue/node/var/lib/containerd/7/fs,workdir=/w
32 27 254:0 /build/cluster/blue/node/var/lib/containerd/snapshots/3 / rw - ext4 /dev/vda rw
broken line`)
	if len(mounts) != 4 {
		t.Fatalf("got %d mounts", len(mounts))
	}
	if mounts[1].Point != "/a b" {
		t.Errorf("got %q", mounts[1].Point)
	}
	for n, want := range []bool{false, false, true, true} {
		if got := mounts[n].isBacked("/build/cluster/blue/node"); got != want {
			t.Errorf("mount %d: backed by the instance is %v", n, got)
		}
	}
	if mounts[2].isBacked("/build/cluster/blu") {
		t.Error("a folder with a shorter name was taken for the instance's")
	}
}

func TestOnlyOurAliasNamesAnOwner(t *testing.T) {
	if got := ownerInAlias(aliasPrefix + "/build/cluster/blue\n"); got != "/build/cluster/blue" {
		t.Errorf("got %q", got)
	}
	if got := ownerInAlias("uplink of rack 4"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestARefusalSaysHowToStopTheOtherCluster(t *testing.T) {
	message := ownedBy("/home/ada/modelship/build/cluster/green").Error()
	for _, want := range []string{"/home/ada/modelship/build/cluster/green", "MODELSHIP_BUILD_DIR=/home/ada/modelship/build tests/cluster/run down --name green"} {
		if !strings.Contains(message, want) {
			t.Errorf("%q is not in: %s", want, message)
		}
	}
}

func TestTheBuildFolderMayNotLieWhereTheNodeHasItsOwn(t *testing.T) {
	for folder, want := range map[string]bool{"/var/lib/jenkins/build": true, "/run/x": true, "/var/library": false, "/home/run": false, "/srv/build": false} {
		if got := hiddenByNode(folder); got != want {
			t.Errorf("%s: got %v", folder, got)
		}
	}
}

func TestInstanceNamesAreSafeAsFolders(t *testing.T) {
	for name, want := range map[string]bool{"full": true, "e2e-2": true, "": false, "..": false, "a/b": false, "Full": false, "hosts.d": false, "-a": false} {
		if got := checkInstanceName(name) == nil; got != want {
			t.Errorf("%q: allowed is %v", name, got)
		}
	}
	if got := fileSafe("system:serviceaccount:ns:sa"); got != "system_serviceaccount_ns_sa" {
		t.Errorf("got %q", got)
	}
}

func TestThePortsAreDistinctAndBelowTheEphemeralRange(t *testing.T) {
	ports, err := freePorts(portNames)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for name, port := range ports {
		if port < 18000 || port >= 30000 || seen[port] {
			t.Errorf("%s got %d", name, port)
		}
		seen[port] = true
	}
}

func TestOnlyTheFullLevelListensBeyondLoopback(t *testing.T) {
	i := testInstance(t)
	ports := map[string]int{"apiserver": 18001, "etcd": 18002, "etcd-peer": 18003}
	api := strings.Join(apiserverArguments(i, &State{Level: LevelAPI, Ports: ports}), "\n")
	full := strings.Join(apiserverArguments(i, &State{Level: LevelFull, Ports: ports}), "\n")
	if !strings.Contains(api, "--bind-address=127.0.0.1\n") || strings.Contains(api, nodeIP) {
		t.Error("the api level must stay on loopback")
	}
	if !strings.Contains(full, "--bind-address="+nodeIP+"\n") || strings.Contains(full, "0.0.0.0") {
		t.Error("the full level must listen on the node's address only")
	}
	if etcd := strings.Join(etcdArguments(i, &State{Ports: ports}), "\n"); strings.Contains(etcd, "http://") || !strings.Contains(etcd, "--client-cert-auth") {
		t.Error("the store must ask for certificates")
	}
}

func TestTheAuditLogIsWrittenOnlyWhenAskedFor(t *testing.T) {
	i := testInstance(t)
	for _, audit := range []bool{true, false} {
		if got := strings.Contains(strings.Join(apiserverArguments(i, &State{Audit: audit}), " "), "--audit-log-path="+i.path("audit.log")); got != audit {
			t.Errorf("audit %v: got %v", audit, got)
		}
	}
}

func TestTheNetworkConfigurationIsJSONAndLeavesTheMachinesTablesAlone(t *testing.T) {
	var list struct{ Plugins []map[string]any }
	if err := json.Unmarshal([]byte(renderCNI()), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Plugins) != 1 || list.Plugins[0]["ipMasq"] != false {
		t.Errorf("got %v", list.Plugins)
	}
}

func TestTheRegistryAsksForAPasswordOnlyWhenItHasOne(t *testing.T) {
	if strings.Contains(renderRegistry("127.0.0.1:5001", "/s", ""), "htpasswd") {
		t.Error("an anonymous registry got a password file")
	}
	if text := renderRegistry("127.0.0.1:5001", "/s", "/p"); !strings.Contains(text, `htpasswd: {realm: modelship, path: "/p"}`) || !strings.Contains(text, "delete: {enabled: true}") {
		t.Errorf("got %s", text)
	}
}

func TestAFurtherRegistryMayNotTakeTheBaseRegistrysNames(t *testing.T) {
	good := RegistryState{Listen: "127.0.0.1", Port: 5001, Credentials: "ada:secret", Hosts: "private.example.test"}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*RegistryState){
		"docker.io": func(r *RegistryState) { r.Hosts = "docker.io" }, "path": func(r *RegistryState) { r.Hosts = "../x" },
		"no password": func(r *RegistryState) { r.Credentials = "ada" }, "no port": func(r *RegistryState) { r.Port = 0 },
		"name as address": func(r *RegistryState) { r.Listen = "localhost" },
	} {
		bad := good
		change(&bad)
		if bad.check() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestCertificatesAreVersionThreeAndVerify(t *testing.T) {
	i := testInstance(t)
	if err := i.makePKI(); err != nil {
		t.Fatal(err)
	}
	read := func(name string) *x509.Certificate {
		raw, err := os.ReadFile(i.pki(name + ".crt"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(raw)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return certificate
	}
	roots := x509.NewCertPool()
	roots.AddCert(read("ca"))
	server := read("apiserver")
	for _, host := range []string{"kubernetes.default.svc", "localhost", "127.0.0.1", apiServiceIP, nodeIP} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, name := range []string{"ca", "apiserver", "admin"} {
		if version := read(name).Version; version != 3 {
			t.Errorf("%s has version %d", name, version)
		}
	}
	if _, err := read("etcd-client").Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("the cluster's authority vouches for a client of the store")
	}
	before := read("admin").SerialNumber
	if err := i.makePKI(); err != nil {
		t.Fatal(err)
	}
	if read("admin").SerialNumber.Cmp(before) != 0 {
		t.Error("a second start issued a new certificate")
	}
}

func TestANamedUserGetsAKubeconfigOfTheirOwn(t *testing.T) {
	i := testInstance(t)
	if _, err := i.userKubeconfig("ada", nil); err == nil {
		t.Error("a user of a cluster that is not there")
	}
	if err := i.makePKI(); err != nil {
		t.Fatal(err)
	}
	if err := i.saveState(&State{Level: LevelAPI, Ports: map[string]int{"apiserver": 18001}}); err != nil {
		t.Fatal(err)
	}
	file, err := i.userKubeconfig("system:serviceaccount:a:b", []string{"g"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the key: %v", info.Mode())
	}
	if !strings.Contains(string(raw), "server: https://127.0.0.1:18001\n") || !strings.Contains(string(raw), `user: "system:serviceaccount:a:b"`) {
		t.Errorf("got %s", raw)
	}
}

func TestAnImageIsTheSameBytesEveryTimeAndPointsAtItsBlobs(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []io.Writer{&first, &second} {
		if err := writeImage(out, "example.test/a:1", "/a", []byte("program")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one program differ")
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(&first); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name], _ = io.ReadAll(reader)
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal(files["blobs/sha256/"+strings.TrimPrefix(index.Manifests[0].Digest, "sha256:")], &manifest); err != nil {
		t.Fatal(err)
	}
	for _, blob := range append(manifest.Layers, manifest.Config) {
		if len(files["blobs/sha256/"+strings.TrimPrefix(blob.Digest, "sha256:")]) != blob.Size {
			t.Errorf("blob %s is missing or has another size", blob.Digest)
		}
	}
}

func TestDownKeepsTheLogsAndNothingElse(t *testing.T) {
	i := testInstance(t)
	for _, name := range []string{"logs/etcd.log", "audit.log", "etcd/member/snap/db", "pki/ca.key", "registry/blob", "state.json"} {
		if err := writeFile(i.path(name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		entries, _ := os.ReadDir(i.dir())
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return strings.Join(names, " ")
	}
	full := &State{Level: LevelFull}
	if err := i.removeFiles(full, DownOptions{KeepImages: true}); err != nil || left() != "audit.log logs registry" {
		t.Errorf("left %q, %v", left(), err)
	}
	if err := i.removeFiles(full, DownOptions{}); err != nil || left() != "audit.log logs" {
		t.Errorf("left %q, %v", left(), err)
	}
}

func TestFlagsMayStandBetweenArguments(t *testing.T) {
	layout := Layout{Build: t.TempDir()}
	err := userCommand(layout, []string{"ada", "--name", "none", "--group", "g"})
	if err == nil || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("got %v", err)
	}
	if err := upCommand(layout, []string{"--level", "half"}); err == nil || !strings.Contains(err.Error(), `"half"`) {
		t.Errorf("got %v", err)
	}
}

func TestWaitingEndsWithTheLogWhenAPartEnds(t *testing.T) {
	log := filepath.Join(t.TempDir(), "etcd.log")
	if err := os.WriteFile(log, []byte("one\ntwo\nthe reason\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	close(done)
	err := waitFor("the store", time.Minute, []*Started{nil, {Part: "etcd", log: log, done: done}}, func() error { return errors.New("no") })
	if err == nil || !strings.Contains(err.Error(), "the reason") || !strings.Contains(err.Error(), "etcd ended") {
		t.Errorf("got %v", err)
	}
}
