package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sitrep/incident"
	"sitrep/templates"
	"sitrep/wording"
)

// A Format is the form of what is posted, and of what the other side answers.
type Format string

// The formats. The zero value is JSON.
const (
	JSON       Format = "json"       // sitrep's own, which is signed
	Slack      Format = "slack"      // Block Kit, for an incoming webhook
	Teams      Format = "teams"      // an Adaptive Card, for a workflow that a webhook request starts
	Mattermost Format = "mattermost" // text and an attachment, for an incoming webhook
)

// A chat is how people read messages in a channel of a chat.
type chat struct {
	name string // for people
	// hook says what its URL has to be.
	hook string
	// room is what a report may be at first; it becomes less until what is posted fits.
	room wording.Room
	// layOut returns what is posted, and whether that is within the limits of the format.
	layOut func(r *wording.Report, subject string) (post any, fits func(body []byte) bool)
	// took reports whether an answer of 2xx says that the message was taken.
	took func(status int, said string) bool
	// codes are what it answers where it refuses, and what that speaks of: an error of router,
	// or nil for the message, which is tried again.
	codes map[string]error
	// setUp400 is set if 400 speaks of the URL: the bytes are never at fault.
	setUp400 bool
}

// chats are the formats that people read. Nothing changes it.
var chats = map[Format]*chat{Slack: &slack, Teams: &teams, Mattermost: &mattermost}

// leastWeight is where a report is given up that does not fit.
const leastWeight = 100

// render returns the bytes of a message: what a template of one's own makes of it, else all that a
// mail says, in the same words, and less of it where that is too much.
func (c *chat) render(m *incident.Message, own *templates.Set, format Format) ([]byte, error) {
	if err := tellable(m); err != nil {
		return nil, err
	}
	switch body, err := own.Chat(string(format), m); {
	case err != nil:
		own.Fail(err)
	case body != nil:
		return body, nil
	}
	whole, subject := wording.ComposeWhole(m), wording.Subject(m)
	for room := c.room; room.Weight >= leastWeight; room = room.Less() {
		post, fits := c.layOut(whole.Within(room), subject)
		body, err := encode(post)
		if err != nil {
			return nil, err
		}
		if fits(body) {
			return body, nil
		}
	}
	return nil, fmt.Errorf("it is too long for %s, whatever is left out", c.name)
}

// encode returns JSON in one line.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
