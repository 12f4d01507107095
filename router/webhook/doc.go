// Package webhook sends messages as JSON over HTTP, each signed as Standard
// Webhooks describes.
//
// The headers webhook-id, webhook-timestamp and webhook-signature let the other
// side tell who sent it, and that it has a message twice: an attempt whose outcome
// nobody knows is repeated with the same webhook-id and the same body.
//
// A URL may be a secret. No error names more of it than scheme and host.
package webhook
