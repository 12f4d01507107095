//go:build !linux

package rig

import "errors"

// A Network is a cable to another machine; here there is none.
type Network struct{}

// NewNetwork makes none.
func NewNetwork() (*Network, error) { return nil, errors.ErrUnsupported }

// Proxy starts none.
func (*Network) Proxy(...string) (*Proxy, error) { return nil, errors.ErrUnsupported }

// Down does nothing.
func (*Network) Down() error { return errors.ErrUnsupported }

// Up does nothing.
func (*Network) Up() error { return errors.ErrUnsupported }

// Remove does nothing.
func (*Network) Remove() error { return nil }
