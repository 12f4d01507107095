// Package httperr answers HTTP requests that went wrong. It is the one table from
// an error to a status: handlers return an error, and [Handle] makes of it a
// problem as RFC 9457 describes it, which says what to do.
//
// What a person caused is answered as it is written. What went wrong in here is
// answered as "internal error" with the id of the request, and the details are in
// the log under the same id.
package httperr
