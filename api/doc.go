// Package api answers people's tools with JSON over HTTP: it reads incidents and
// all that belongs to them from the store, and takes people's commands.
//
// Every route is a row of one table, see [Handler.Routes]: its method, its path, the
// role that it needs, its parameters, and what it takes and gives. The forms of
// incidents are those of package incidentjson; errors are problems, RFC 9457, that say
// what to do. Rules live in package incident and the one way to change an
// incident in package storage: nothing here decides.
package api
