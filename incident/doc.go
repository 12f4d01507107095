// Package incident holds the rules of an incident: when it opens, what priority
// it carries, who reads along, when each reader's next message falls due, and
// when it is over.
//
// An incident is a log. A command and the state give events or an error
// ([Incident.ChangePriority] and its siblings); an event and the state give the
// next state ([Incident.Apply]). A reader of an incident is a [Subscription]: the
// sequence number last told, and when the next message is due. [Reconcile]
// brings the subscriptions up to date after a change, and [Situation.Plan] says what
// a reader is to be told now.
//
// Nothing here reads a clock, a file or a socket. Callers bring the time, in UTC
// and whole microseconds, and keep the result, so each rule can be tested with a
// plain table.
package incident
