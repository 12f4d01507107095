// Package alertmanager pins the Alertmanager that the end-to-end tests run: the
// real one, built from its Go module by "go build -o FILE
// github.com/prometheus/alertmanager/cmd/alertmanager" in this folder, and amtool,
// which says where alerts are routed, in the same way. It is a
// module of its own so that sitrep's go.mod stays light.
//
// 0.31.1 is the newest release that builds so: later ones embed the files of a
// page that their modules lack.
package alertmanager
