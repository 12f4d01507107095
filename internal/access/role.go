package access

import "slices"

// A Role is what somebody may do, or what is needed to do something.
type Role string

// The roles. A receiver posts alerts and reads metrics, no more. A viewer, a responder and
// an admin may each do what the one before may. An auditor is a viewer who may export, which
// an admin may too, as what a receiver may.
const (
	Receiver  Role = "receiver"
	Viewer    Role = "viewer"    // reads
	Auditor   Role = "auditor"   // reads, exports
	Responder Role = "responder" // gives commands
	Admin     Role = "admin"     // reloads, backs up, sends test mails
)

// What may be needed beside a role.
const (
	Nobody Role = ""    // no credentials are asked for
	Any    Role = "any" // any role will do
	// Known needs a viewer of whom it is known who they are, see [Identity.Stranger].
	Known Role = "known"
)

// Roles are the roles that somebody can have, the highest last.
func Roles() []Role { return []Role{Receiver, Viewer, Auditor, Responder, Admin} }

// May reports whether somebody with the role r may do what needs the role need.
func (r Role) May(need Role) bool {
	switch need {
	case Nobody:
		return true
	case Any:
		return r.rank() > 0
	case Receiver:
		return r == Receiver || r == Admin
	case Known:
		return r.May(Viewer)
	case Auditor:
		return r == Auditor || r == Admin
	case Viewer, Responder, Admin:
		return r != Receiver && r.rank() >= need.rank()
	}
	return false
}

// rank orders the roles, for choosing the highest of several; 0 is none.
func (r Role) rank() int { return slices.Index(Roles(), r) + 1 }
