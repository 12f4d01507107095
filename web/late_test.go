package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// holdBack keeps what is due of an incident waiting for some time, as it was refused.
func (f *fixture) holdBack(number int64, wait time.Duration) {
	f.t.Helper()
	f.write(func(tx storage.Tx) error {
		subs, err := storage.SubscriptionsOf(f.t.Context(), tx, number)
		if err != nil {
			return err
		}
		for i, sub := range subs {
			d := incident.Delivery{
				ID: fmt.Sprintf("late%d-%d", number, i), Incident: number, Kind: incident.KindUpdate, Audience: sub.Audiences[0], Group: sub.Groups[0],
				Channel: incident.ChannelEmail, Recipient: sub.Recipient, Address: "someone", DueAt: f.clock.Now(), CreatedAt: f.clock.Now(), Attempts: 3,
				State: incident.DeliveryPending, Replan: true, RefusedAt: f.clock.Now(), RetryAt: f.clock.Now().Add(wait), Error: "451 later",
				Covers: []incident.Cover{{Incident: number, Kind: incident.KindUpdate, Reader: sub.Reader}},
			}
			if err := tx.PutDelivery(f.t.Context(), &d, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestPagesSayWhenWhatIsLateIsTriedNext(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	f.deliver(n, eml)
	f.clock.Pass(2*time.Hour + 30*time.Minute) // 12:30; it was promised by 12:01
	f.holdBack(n, 20*time.Minute)
	has := func(path string, all ...string) {
		t.Helper()
		a := f.get("viewer", path)
		text := a.text()
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q: %s", path, want, text)
			}
		}
	}
	has("/", "1 with an update overdue", "overdue since 12:01", "by 12:51 as things stand")
	has(page(n, ""), "overdue for 29 minutes, promised by 12:01", "as things stand by 12:51", "overdue since 12:00 , tried again 12:50")
	f.clock.Pass(time.Hour) // nobody knows more: it is tried as soon as somebody can
	has("/", "overdue since 12:01", "by 13:31 as things stand")
}
