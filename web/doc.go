// Package web serves the pages that people look at: what is open, one incident with
// all that happened and every message as it was sent, and what the configuration
// promises.
//
// The pages work without a script, which only keeps them fresh. They load nothing
// from elsewhere, and a GET changes nothing. What changes an incident is first shown
// as a preview and goes through package command, as in the API.
package web
