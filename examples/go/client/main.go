// A client of the server in ../server. It shows its certificate and loads renewed files at once.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	requests, _ := strconv.Atoi(or(os.Getenv("REQUESTS"), "1"))
	failed := 0
	for done := 0; done < requests || requests == 0; done++ {
		if answer, err := ask(); err != nil {
			failed = 1
			fmt.Println("failed", err)
		} else {
			fmt.Println("ok", answer)
		}
	}
	os.Exit(failed)
}

// ask makes one request on a connection of its own, with the current files.
func ask() (string, error) {
	server := or(os.Getenv("SERVER"), "go-server.shop.svc:8443")
	host, _, _ := net.SplitHostPort(server)
	name := or(os.Getenv("SERVER_NAME"), host)
	config, err := load(or(os.Getenv("FILES"), "/var/run/mtls"))
	if err != nil {
		return "", err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   config,
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, server)
		},
	}}
	response, err := client.Get("https://" + name + "/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if text := strings.TrimSpace(string(body)); err == nil && response.StatusCode == http.StatusOK {
		return text, nil
	} else if err == nil {
		err = errors.New(text)
	}
	return "", err
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
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
