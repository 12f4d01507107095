package storage

import "context"

type longKey struct{}

// Long returns a context for a read that takes seconds or more, such as that for a report: an engine
// sees to it that a few of those at a time leave enough to all others, and may end one that takes
// minutes: the error is incident.ErrInvalid then, and says so.
func Long(ctx context.Context) context.Context { return context.WithValue(ctx, longKey{}, true) }

// IsLong reports whether a context is one of [Long].
func IsLong(ctx context.Context) bool { return ctx.Value(longKey{}) != nil }
