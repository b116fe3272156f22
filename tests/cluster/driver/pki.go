package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates. crypto/x509 writes version 3 only, which is what rustls accepts.
type Authority struct {
	Certificate *x509.Certificate
	PEM         []byte
	key         crypto.Signer
}

// Subject is what a certificate is for.
type Subject struct {
	Name   string
	Groups []string
	Hosts  []string // names and addresses; none for a client
}

const certificateLife = 10 * 365 * 24 * time.Hour

func template(subject Subject) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	certificate := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: subject.Name, Organization: subject.Groups},
		// An hour back: clocks of virtual machines jump.
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range subject.Hosts {
		if address := net.ParseIP(host); address != nil {
			certificate.IPAddresses = append(certificate.IPAddresses, address)
		} else {
			certificate.DNSNames = append(certificate.DNSNames, host)
		}
	}
	if len(subject.Hosts) > 0 {
		certificate.ExtKeyUsage = append(certificate.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	return certificate, nil
}

func newAuthority(name string) (*Authority, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := template(Subject{Name: name})
	if err != nil {
		return nil, nil, err
	}
	certificate.IsCA, certificate.ExtKeyUsage = true, nil
	certificate.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	raw, err := x509.CreateCertificate(rand.Reader, certificate, certificate, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, err
	}
	return &Authority{Certificate: parsed, PEM: encodeCertificate(raw), key: key}, keyPEM, nil
}

// issue returns a certificate and its key, both PEM.
func (a *Authority) issue(subject Subject) (certificatePEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := template(subject)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.CreateCertificate(rand.Reader, certificate, a.Certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return encodeCertificate(raw), keyPEM, err
}

func encodeCertificate(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

func loadAuthority(certificateFile, keyFile string) (*Authority, error) {
	certificatePEM, err := os.ReadFile(certificateFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	certificateBlock, _ := pem.Decode(certificatePEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certificateBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("%s or its key holds no PEM", certificateFile)
	}
	certificate, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the authority's key cannot sign")
	}
	return &Authority{Certificate: certificate, PEM: certificatePEM, key: signer}, nil
}

func (i *Instance) pki(name string) string { return i.path("pki", name) }

// authority loads or makes one of the instance's authorities.
func (i *Instance) authority(name string) (*Authority, error) {
	certificateFile, keyFile := i.pki(name+".crt"), i.pki(name+".key")
	if authority, err := loadAuthority(certificateFile, keyFile); err == nil {
		return authority, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	authority, keyPEM, err := newAuthority("modelship test " + name)
	if err != nil {
		return nil, err
	}
	// The key first: an authority without its key would be taken for complete.
	if err := writeFile(keyFile, keyPEM, 0o600); err != nil {
		return nil, err
	}
	return authority, writeFile(certificateFile, authority.PEM, 0o644)
}

// credential makes NAME.crt and NAME.key unless both are there and signed by this authority.
func (i *Instance) credential(authority *Authority, name string, subject Subject) error {
	certificateFile, keyFile := i.pki(name+".crt"), i.pki(name+".key")
	if _, err := os.Stat(keyFile); err == nil {
		if raw, err := os.ReadFile(certificateFile); err == nil {
			if block, _ := pem.Decode(raw); block != nil {
				if parsed, err := x509.ParseCertificate(block.Bytes); err == nil && parsed.CheckSignatureFrom(authority.Certificate) == nil {
					return nil
				}
			}
		}
	}
	certificatePEM, keyPEM, err := authority.issue(subject)
	if err != nil {
		return err
	}
	if err := writeFile(certificateFile, certificatePEM, 0o644); err != nil {
		return err
	}
	return writeFile(keyFile, keyPEM, 0o600)
}

// makePKI makes everything the components of the instance show each other.
func (i *Instance) makePKI() error {
	cluster, err := i.authority("ca")
	if err != nil {
		return err
	}
	// The store trusts an authority of its own: a client of the API must not be a client of the store.
	store, err := i.authority("etcd-ca")
	if err != nil {
		return err
	}
	front, err := i.authority("front-proxy-ca")
	if err != nil {
		return err
	}
	apiHosts := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", apiServiceIP, nodeIP}
	for _, wanted := range []struct {
		signer *Authority
		name   string
		Subject
	}{
		{store, "etcd", Subject{Name: "etcd", Hosts: []string{"localhost", "127.0.0.1"}}},
		{store, "etcd-client", Subject{Name: "kube-apiserver"}},
		{cluster, "apiserver", Subject{Name: "kube-apiserver", Hosts: apiHosts}},
		{cluster, "apiserver-kubelet", Subject{Name: "kube-apiserver-kubelet", Groups: []string{"system:masters"}}},
		{front, "front-proxy", Subject{Name: "front-proxy"}},
		{cluster, "admin", Subject{Name: "admin", Groups: []string{"system:masters"}}},
		{cluster, "kube-controller-manager", Subject{Name: "system:kube-controller-manager"}},
		{cluster, "kube-scheduler", Subject{Name: "system:kube-scheduler"}},
		{cluster, "kube-proxy", Subject{Name: "system:kube-proxy"}},
		{cluster, "kubelet", Subject{Name: "system:node:" + nodeName, Groups: []string{"system:nodes"}}},
		{cluster, "kubelet-server", Subject{Name: nodeName, Hosts: []string{nodeName, nodeIP}}},
	} {
		if err := i.credential(wanted.signer, wanted.name, wanted.Subject); err != nil {
			return fmt.Errorf("certificate %s: %w", wanted.name, err)
		}
	}
	return i.serviceAccountKeys()
}

func (i *Instance) serviceAccountKeys() error {
	if _, err := os.Stat(i.pki("sa.pub")); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeFile(i.pki("sa.key"), private, 0o600); err != nil {
		return err
	}
	return writeFile(i.pki("sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644)
}

// writeKubeconfig writes a kubeconfig that stands alone: everything is embedded.
func (i *Instance) writeKubeconfig(file, server, user string, certificateAuthority, certificate, key []byte) error {
	return writeFile(file, renderKubeconfig(i.Name, server, user, certificateAuthority, certificate, key), 0o600)
}

// componentKubeconfig writes the kubeconfig of a component from its certificate.
func (i *Instance) componentKubeconfig(file, server, name string) error {
	authority, err := os.ReadFile(i.pki("ca.crt"))
	if err != nil {
		return err
	}
	certificate, err := os.ReadFile(i.pki(name + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(i.pki(name + ".key"))
	if err != nil {
		return err
	}
	return i.writeKubeconfig(file, server, name, authority, certificate, key)
}

// userKubeconfig issues a client certificate for a named user and writes its kubeconfig.
func (i *Instance) userKubeconfig(name string, groups []string) (string, error) {
	state, err := i.loadState()
	if err != nil {
		return "", fmt.Errorf("no cluster %q here (%w): run up first", i.Name, err)
	}
	authority, err := loadAuthority(i.pki("ca.crt"), i.pki("ca.key"))
	if err != nil {
		return "", err
	}
	certificate, key, err := authority.issue(Subject{Name: name, Groups: groups})
	if err != nil {
		return "", err
	}
	file := filepath.Join(i.path("users"), fileSafe(name)+".kubeconfig")
	return file, i.writeKubeconfig(file, state.server(), name, authority.PEM, certificate, key)
}
