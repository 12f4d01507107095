// Package access says who a request comes from, and what they may do.
//
// A caller is known by a bearer token, by a name and a password, or by the word of
// a trusted proxy; or is anonymous, if that is allowed. Without rules only the
// machine itself is served, and is trusted. [Guard.Require] is put before a handler:
// it answers before the body is read, and leaves the [Identity] in the context.
//
// No session and no cookie exists. Passwords, what a proxy says and the loopback
// interface are nevertheless sent along by a browser unasked, so a page of another
// site must not be able to post: see [Guard.Require] and [Form].
package access
