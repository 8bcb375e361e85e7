// An HTTPS server that knows its callers by the names in their certificates, and loads renewed files at once.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
)

const caller = "go-client.shop.svc"

func main() {
	server := &http.Server{
		Addr:    os.Getenv("ADDRESS") + ":" + or(os.Getenv("PORT"), "8443"),
		Handler: http.HandlerFunc(answer),
		TLSConfig: &tls.Config{
			// Called for every connection, so the files are current.
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return load(or(os.Getenv("FILES"), "/var/run/mtls"))
			},
		},
	}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

// answer accepts only the caller's name: the chain alone says only that the caller has some certificate.
func answer(w http.ResponseWriter, r *http.Request) {
	peer := r.TLS.PeerCertificates[0]
	if err := peer.VerifyHostname(caller); err != nil {
		http.Error(w, fmt.Sprint("may not call: ", peer.DNSNames), http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, "hello %s, certificate %x\n", caller, peer.SerialNumber)
}

// load makes a configuration from the files of one version: kubelet moves the link ..data, which changes all files at once.
func load(files string) (*tls.Config, error) {
	folder, err := filepath.EvalSymlinks(filepath.Join(files, "..data"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
	roots := x509.NewCertPool()
	pem, errRoots := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err = errors.Join(err, errRoots); errors.Is(err, fs.ErrNotExist) {
		return load(files) // it moved it just now
	} else if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
