package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"sitrep/contrib"
	"sitrep/incident"
)

const (
	// theIncident is the only incident of the demo.
	theIncident = "INC-1"
	// responder is who is on call in it, and whoever looks at its pages.
	responder = "Ada"
)

// A story is one incident from its first alert to its end, told in the terminal
// while it happens. All that happens comes in over HTTP, as from an Alertmanager
// and from people.
type story struct {
	out   io.Writer
	url   string
	dir   string
	mails *mails
}

// play tells the story.
func (st *story) play(ctx context.Context) error {
	st.say("sitrep runs at %s, and writes its mails into %s", st.url, filepath.Join(st.dir, "outbox"))
	st.say("The sample organisation promises news of a P1 every 2 hours. Here an hour takes 4 seconds;")
	st.say("only what a mail promises is still rounded up to the minute.")

	st.chapter("Alertmanager posts an alert: the SLO \"notifications-send-availability\" burns its budget.")
	began := now().Add(-90 * time.Second)
	if err := st.alert(ctx, began, time.Time{}); err != nil {
		return err
	}
	// Two managers, one group of stakeholders, and the team.
	if err := st.mails.await(ctx, incident.KindOpened, 4); err != nil {
		return err
	}

	st.chapter(responder + " is on call, acknowledges, and writes what is known.")
	for _, c := range []struct {
		path string
		body map[string]any
	}{
		{"acknowledge", map[string]any{}},
		{"phase", map[string]any{"phase": "investigation"}},
		{"updates", map[string]any{"message": "The message queue of one data centre is full. We move its load to the other one."}},
	} {
		if err := st.command(ctx, c.path, c.body); err != nil {
			return err
		}
	}
	if err := st.mails.await(ctx, incident.KindUpdate, 3); err != nil {
		return err
	}

	st.chapter("Nobody writes for \"2 hours\": the team is reminded, then the promised update goes out and says so.")
	if err := st.mails.await(ctx, incident.KindUpdate, 3); err != nil {
		return err
	}

	st.chapter("A workaround helps: " + responder + " lowers the priority to P3, which management is not informed of.")
	if err := st.command(ctx, "priority", map[string]any{"priority": "P3", "reason": "Messages are sent again, with a delay."}); err != nil {
		return err
	}
	if err := st.mails.await(ctx, incident.KindLeft, 2); err != nil {
		return err
	}
	if err := st.mails.await(ctx, incident.KindPriority, 2); err != nil {
		return err
	}

	st.chapter("Alertmanager posts that the alert is over. It has to stay so for a moment (resolve_after).")
	if err := st.alert(ctx, began, now()); err != nil {
		return err
	}
	return st.mails.await(ctx, incident.KindResolved, 2)
}

// farewell says what there is to look at.
func (st *story) farewell(once bool) {
	st.chapter("That was the story. The hotfix and the postmortem of a P1 are still to be done before INC-1 can be closed.")
	if !once {
		st.say("  The incident    %s/incidents/%s", st.url, theIncident)
		st.say("  From a shell    sitrep incident action %s hotfix done --url %s", theIncident, st.url)
	}
	st.say("  Mails as sent   %s", filepath.Join(st.dir, "outbox"))
	st.say("  Configuration   %s", filepath.Join(st.dir, "sitrep.yml"))
	st.say("  Log             %s", filepath.Join(st.dir, "sitrep.log"))
	st.say("")
	st.say("Next: put your own organisation, and its own times, into a copy of that configuration, check it with")
	st.say("\"sitrep check\", see with \"sitrep simulate\" what an alert would do, and start it with \"sitrep serve\".")
	if !once {
		st.say("\nThe service runs until Ctrl-C.")
	}
}

func (st *story) say(format string, args ...any) { fmt.Fprintf(st.out, format+"\n", args...) }

func (st *story) chapter(text string) {
	st.say("\n== %s", text)
	st.mails.chapter()
}

// alert posts the sample alert: firing, or ended if ended is not zero.
func (st *story) alert(ctx context.Context, began, ended time.Time) error {
	var payload map[string]any
	if err := json.Unmarshal(contrib.Alert, &payload); err != nil {
		return fmt.Errorf("decode the sample alert: %w", err)
	}
	alerts, _ := payload["alerts"].([]any)
	for _, a := range alerts {
		alert, _ := a.(map[string]any)
		alert["startsAt"] = began.Format(time.RFC3339Nano)
		if !ended.IsZero() {
			alert["status"], alert["endsAt"] = "resolved", ended.Format(time.RFC3339Nano)
			payload["status"] = "resolved"
		}
	}
	return st.post(ctx, "/alertmanager", payload)
}

// command does to the incident what a person would.
func (st *story) command(ctx context.Context, path string, body map[string]any) error {
	return st.post(ctx, "/api/v1/incidents/"+theIncident+"/"+path, body)
}

func (st *story) post(ctx context.Context, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, st.url+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("post to %q: %s: %s", path, answer.Status, text)
	}
	return err
}

// now is the time as Alertmanager says it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
