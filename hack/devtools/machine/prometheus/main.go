//go:build tools

// Package prometheus has no code: its go.mod says of which version promtool is built.
package prometheus

import _ "github.com/prometheus/prometheus/cmd/promtool"
