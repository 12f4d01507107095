// Package test checks what contrib has for Compose and Kubernetes, by the types and the tools of both. It is a
// module of its own so that sitrep's go.mod stays light.
package test
