package incident

import "errors"

// The kinds of errors that the rules and the stores report. They are wrapped
// with words that say what to do; ask for them with errors.Is.
var (
	// ErrInvalid is a command or an input that is wrong in itself.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound is a thing that is not there.
	ErrNotFound = errors.New("not found")
	// ErrConflict is a command that the incident's state forbids.
	ErrConflict = errors.New("conflict")
	// ErrChanged is a command based on a state that a person changed since.
	ErrChanged = errors.New("changed meanwhile")
)

// Problem is an error of one of the kinds above with words for the person who
// caused it: what is wrong, and what would be right.
type Problem struct {
	Kind error
	Text string
}

func (p *Problem) Error() string { return p.Text }

// Unwrap returns the kind.
func (p *Problem) Unwrap() error { return p.Kind }

// NotThere returns err; of ErrNotFound, one that says that there is no incident of that
// number.
func NotThere(err error, number int64) error {
	if errors.Is(err, ErrNotFound) {
		return &Problem{ErrNotFound, "there is no incident " + ID(number)}
	}
	return err
}
