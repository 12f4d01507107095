package audit_test

import (
	"fmt"
	"testing"
)

var dbg = func(w *world, n int64) {
	for _, h := range w.far.log {
		for i := range h.message.Items {
			it := &h.message.Items[i]
			if it.Incident.Number == n && h.recipient == email("gone").ID {
				fmt.Println(h.at.Format("01-02 15:04:05"), h.taken, it.Kind, it.Incident.State, h.message.At.Format("15:04:05"), it.NextBy.Format("15:04"))
				for _, e := range it.Changes {
					fmt.Println("     ", e.Sequence, e.Time.Format("15:04:05"), e.Type, e.Data.From, e.Data.To, e.Actor)
				}
			}
		}
	}
}

func TestDbg(t *testing.T) {}
