// Package webhook sends messages as JSON over HTTP: in a format of sitrep's own, signed as
// Standard Webhooks describes, or as those that people read in channels of chats, each in a file
// of its own.
//
// The headers webhook-id, webhook-timestamp and webhook-signature let the other
// side tell who sent it, and that it has a message twice: an attempt whose outcome
// nobody knows is repeated with the same webhook-id and the same body.
//
// In the format JSON the body of a message about one incident to those on call has what they look into
// beside what all readers get: data.alerts, the alerts that fire with name, summary,
// url, state, labels, starts_at and heard_at, and data.runbook.
//
// What stays inside is told to those on call alone, in every format: for all others data.incident has no
// acknowledged_by and no escalated_to, its actions have no reason, and data.changes is
// without what people wrote for the inside.
//
// A URL may be a secret. No error names more of it than scheme and host.
package webhook
