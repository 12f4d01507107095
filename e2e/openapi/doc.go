// Package openapi holds a test that the description of the API is what OpenAPI 3.1
// asks for. It is a module of its own, so that sitrep does not depend on what
// checks it.
package openapi
