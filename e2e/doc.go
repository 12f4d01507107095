// Package e2e tests the whole program from outside: the sitrep binary, real
// Alertmanagers, a mail server, Postfix and Exim, and a receiver of webhooks, all on this machine.
// Package rig runs them; e2e/alertmanager pins the Alertmanager, in a module of its
// own; e2e/load measures.
package e2e
