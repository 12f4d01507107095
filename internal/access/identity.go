package access

import (
	"context"

	"sitrep/incident"
)

// A Kind is how somebody is known.
type Kind string

// The kinds.
const (
	KindToken     Kind = "token"
	KindUser      Kind = "user" // by name and password
	KindProxy     Kind = "proxy"
	KindAnonymous Kind = "anonymous"
	KindLocal     Kind = "local" // anybody on this machine, without rules
)

// An Identity is who a request comes from.
type Identity struct {
	Name    string // of the token or the person; "anonymous", or "local" and such, else
	Role    Role
	Kind    Kind
	Address string // of the client, for logs
}

// Actor returns the name under which events are recorded.
func (id Identity) Actor() incident.Actor { return incident.Actor(id.Name) }

// May reports whether they may do what needs the role need.
func (id Identity) May(need Role) bool {
	return id.Role.May(need) && !(need == Known && id.Stranger())
}

// Stranger reports whether it is a viewer of whom nobody knows who it is. They see groups,
// but no addresses and no messages.
func (id Identity) Stranger() bool { return id.Kind == KindAnonymous && id.Role == Viewer }

type identityKey struct{}

// With returns a context that carries the identity.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// From returns the identity of a request that [Guard.Require] let pass. It is the
// zero Identity, which may do nothing, for one that needed no credentials.
func From(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}
