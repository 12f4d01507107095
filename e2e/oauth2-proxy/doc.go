// Package oauth2proxy pins the oauth2-proxy of the tutorial behind nginx: the real one, built
// from its Go module by "go build -o FILE github.com/oauth2-proxy/oauth2-proxy/v7" in this
// folder. It is a module of its own so that sitrep's go.mod stays light.
package oauth2proxy
