// Package router sees to it that time does its part: [Scheduler] lets incidents
// resolve, close and remind, asks about breaches that stay quiet, and hands what is
// due to the [Dispatcher], which tells the recipients. Who is owed what and when
// is decided by package incident; how a message looks and travels by a [Sender].
package router
