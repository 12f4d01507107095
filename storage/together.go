package storage

import "context"

type togetherKey struct{}

// Together returns a context for a write that may share its transaction with others of the kind, so
// that an engine commits many at once. Such a write begins with [Locker.Lock] or
// [QueueWriter.TakeLeases], and writes nothing before. It sees what the others before it wrote; each
// is stored or fails by itself, and as ever it may run more than once.
func Together(ctx context.Context) context.Context {
	return context.WithValue(ctx, togetherKey{}, true)
}

// IsTogether reports whether a context is one of [Together].
func IsTogether(ctx context.Context) bool { return ctx.Value(togetherKey{}) != nil }
