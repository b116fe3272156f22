package main

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Addresses of the full level. They are constants because the bridges and the kernel tables are one per machine
// anyway; a second full cluster is refused, not numbered.
const (
	nodeName     = "modelship-node"
	nodeIP       = "10.245.0.1"
	podCIDR      = "10.244.0.0/24"
	serviceCIDR  = "10.96.0.0/16"
	apiServiceIP = "10.96.0.1"
	nodeBridge   = "modelship0"
	podBridge    = "modelship-pods"
	registryPort = 5000
	pauseImage   = "modelship.test/pause:1"
)

func fileSafe(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '_'
	}, strings.TrimLeft(name, "."))
}

func renderKubeconfig(cluster, server, user string, authority, certificate, key []byte) []byte {
	encode := base64.StdEncoding.EncodeToString
	return []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[4]s
users:
- name: %[3]q
  user:
    client-certificate-data: %[5]s
    client-key-data: %[6]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: %[3]q
current-context: %[1]s
`, cluster, server, user, encode(authority), encode(certificate), encode(key)))
}

// Metadata of every request once, when it is answered: enough to count who asked for what, without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

func etcdArguments(i *Instance, s *State) []string {
	client := fmt.Sprintf("https://127.0.0.1:%d", s.Ports["etcd"])
	peer := fmt.Sprintf("https://127.0.0.1:%d", s.Ports["etcd-peer"])
	return []string{i.bin("etcd"),
		"--name=" + i.Name, "--data-dir=" + i.path("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + i.Name + "=" + peer,
		"--cert-file=" + i.pki("etcd.crt"), "--key-file=" + i.pki("etcd.key"),
		"--trusted-ca-file=" + i.pki("etcd-ca.crt"), "--client-cert-auth",
		"--peer-cert-file=" + i.pki("etcd.crt"), "--peer-key-file=" + i.pki("etcd.key"),
		"--peer-trusted-ca-file=" + i.pki("etcd-ca.crt"), "--peer-client-cert-auth",
		// A test cluster is thrown away; its store need not survive a power cut.
		"--unsafe-no-fsync", "--log-level=warn",
	}
}

func apiserverArguments(i *Instance, s *State) []string {
	arguments := []string{i.bin("kube-apiserver"),
		"--bind-address=" + s.host(), "--advertise-address=" + s.host(), fmt.Sprintf("--secure-port=%d", s.Ports["apiserver"]),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", s.Ports["etcd"]),
		"--etcd-cafile=" + i.pki("etcd-ca.crt"), "--etcd-certfile=" + i.pki("etcd-client.crt"), "--etcd-keyfile=" + i.pki("etcd-client.key"),
		"--client-ca-file=" + i.pki("ca.crt"),
		"--tls-cert-file=" + i.pki("apiserver.crt"), "--tls-private-key-file=" + i.pki("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + i.pki("sa.pub"), "--service-account-signing-key-file=" + i.pki("sa.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-cluster-ip-range=" + serviceCIDR, "--allow-privileged",
		// Aggregated APIs (a metrics server, say) are reached at their endpoints: nothing but kube-proxy knows service IPs.
		"--requestheader-client-ca-file=" + i.pki("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + i.pki("front-proxy.crt"), "--proxy-client-key-file=" + i.pki("front-proxy.key"),
		"--enable-aggregator-routing",
		// Benchmarks create thousands of objects: the limits must not be what they measure.
		"--max-requests-inflight=3000", "--max-mutating-requests-inflight=1000",
		"--profiling=false",
	}
	if s.Level == LevelFull {
		arguments = append(arguments,
			"--kubelet-client-certificate="+i.pki("apiserver-kubelet.crt"), "--kubelet-client-key="+i.pki("apiserver-kubelet.key"),
			"--kubelet-certificate-authority="+i.pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP")
	} else {
		// An endpoint may not be a loopback address, and without pods nobody needs the service "kubernetes".
		arguments = append(arguments, "--endpoint-reconciler-type=none")
	}
	if s.Audit {
		// One file for the whole run, written before the answer leaves: a test reads it right after a request.
		arguments = append(arguments, "--audit-policy-file="+i.path("audit-policy.yaml"), "--audit-log-path="+i.path("audit.log"),
			"--audit-log-mode=blocking", "--audit-log-maxsize=10000")
	}
	return arguments
}

func controllerArguments(i *Instance, s *State) []string {
	kubeconfig := i.path("kubeconfigs", "kube-controller-manager")
	return []string{i.bin("kube-controller-manager"),
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.Ports["controller-manager"]),
		"--root-ca-file=" + i.pki("ca.crt"), "--service-account-private-key-file=" + i.pki("sa.key"),
		"--cluster-signing-cert-file=" + i.pki("ca.crt"), "--cluster-signing-key-file=" + i.pki("ca.key"),
		"--use-service-account-credentials", "--leader-elect=false", "--profiling=false",
		// It makes that folder: by default one below /usr.
		"--flex-volume-plugin-dir=" + i.path("volume-plugins"),
		"--kube-api-qps=300", "--kube-api-burst=600",
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
		// Tests would wait for an autoscaler's next look: it is 15 s by default.
		"--horizontal-pod-autoscaler-sync-period=2s",
	}
}

func schedulerArguments(i *Instance, s *State) []string {
	kubeconfig := i.path("kubeconfigs", "kube-scheduler")
	return []string{i.bin("kube-scheduler"),
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.Ports["scheduler"]), "--leader-elect=false",
		"--kube-api-qps=300", "--kube-api-burst=600",
	}
}

func kubeProxyArguments(i *Instance, s *State) []string {
	return []string{i.bin("kube-proxy"),
		"--kubeconfig=" + i.path("kubeconfigs", "kube-proxy"), "--hostname-override=" + nodeName,
		"--proxy-mode=nftables", "--cluster-cidr=" + podCIDR,
		fmt.Sprintf("--healthz-bind-address=127.0.0.1:%d", s.Ports["proxy-healthz"]),
		fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", s.Ports["proxy-metrics"]),
		// Zero leaves the machine's connection tracking as it is.
		"--conntrack-max-per-core=0", "--conntrack-min=0",
		"--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
	}
}

func kubeletArguments(i *Instance, _ *State) []string {
	return []string{i.bin("kubelet"),
		"--config=" + i.path("kubelet.yaml"), "--kubeconfig=" + i.path("kubeconfigs", "kubelet"),
		"--hostname-override=" + nodeName, "--node-ip=" + nodeIP,
	}
}

// renderKubelet has /run, /var/lib and /var/log in it: they are the node's own (see node.go), not the machine's.
//
// CoreDNS would come in here: run it as a Deployment with a Service of a fixed address, and name that address as
// clusterDNS with clusterDomain: cluster.local.
func renderKubelet(i *Instance, s *State) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
port: 10250
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: %[2]d
tlsCertFile: %[3]s
tlsPrivateKeyFile: %[4]s
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[5]s}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
resolvConf: ""
# This node is a guest on a machine with other work: it shares its cgroups, does not insist on kernel settings,
# and is never the one to decide that the disk is too full.
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
evictionHard:
  memory.available: 50Mi
  nodefs.available: 1%%
  imagefs.available: 1%%
imageGCHighThresholdPercent: 100
maxPods: 200
serializeImagePulls: false
maxParallelImagePulls: 4
registryPullQPS: 0
eventRecordQPS: 0
`, nodeIP, s.Ports["kubelet-healthz"], i.pki("kubelet-server.crt"), i.pki("kubelet-server.key"), i.pki("ca.crt"))
}

// renderContainerd follows the same rule for paths as renderKubelet.
func renderContainerd(i *Instance, snapshotter, runc string) string {
	return fmt.Sprintf(`version = 3
# The real path: it shows in the mounts of a pod's processes, which is how those are found after a crash.
root = %[6]q
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = %[1]q
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %[2]q
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = %[3]q

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE a score cannot be lowered, and runc dies trying.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
    conf_dir = %[4]q
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = %[5]q
        SystemdCgroup = false
`, snapshotter, pauseImage, i.hostsDir(), i.path("cni"), runc, i.path("node", "var", "lib", "containerd"))
}

// Masquerading is left to a table of the driver's own, and ports of the host to nobody: the plugins would do both
// with iptables, whose tables are shared with the rest of the machine.
func renderCNI() string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "modelship",
  "plugins": [
    {
      "type": "bridge",
      "bridge": %q,
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "/var/lib/cni/networks",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    }
  ]
}
`, podBridge, podCIDR)
}

// renderMasquerade lets pods out, and a pod reach itself through a service.
func renderMasquerade() string {
	return fmt.Sprintf(`table ip modelship {}
delete table ip modelship
table ip modelship {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr %[1]s ip daddr != { %[1]s, %[2]s, %[3]s } masquerade
  }
}
`, podCIDR, nodeIP, serviceCIDR)
}

// renderHosts sends containerd to a registry for a name. The server is the registry itself, so that containerd does
// not go on to ask the real owner of the name.
func renderHosts(address string) string {
	return fmt.Sprintf(`server = "http://%[1]s"

[host."http://%[1]s"]
  capabilities = ["pull", "resolve"]
`, address)
}

func renderRegistry(address, storage, htpasswd string) string {
	text := fmt.Sprintf(`version: 0.1
log: {level: info, fields: {service: registry}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http:
  addr: %q
  headers: {X-Content-Type-Options: [nosniff]}
`, storage, address)
	if htpasswd != "" {
		text += fmt.Sprintf("auth:\n  htpasswd: {realm: modelship, path: %q}\n", htpasswd)
	}
	return text
}
