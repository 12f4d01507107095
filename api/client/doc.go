// Package client speaks the API of a running sitrep: it reads incidents, and gives
// commands so that a lost answer never makes one happen twice.
package client
