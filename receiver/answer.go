package receiver

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"sitrep/incident"
	"sitrep/intake"
)

// writeAnswer answers 200 with what became of each alert.
func writeAnswer(w http.ResponseWriter, p payload, results []intake.Result) {
	body := appendAnswer(make([]byte, 0, 64+160*(len(results)+len(p.faults))), p, results)
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the client may be gone; what it posted is stored
}

// appendAnswer appends the answer: all alerts in the order of the payload.
// results has one for each valid alert.
func appendAnswer(b []byte, p payload, results []intake.Result) []byte {
	b = append(b, `{"alerts":[`...)
	faults := p.faults
	for i := range len(results) + len(p.faults) {
		if i > 0 {
			b = append(b, ',')
		}
		if len(faults) > 0 && faults[0].index == i {
			b = appendResult(b, faults[0].fingerprint, intake.Result{Result: intake.OutcomeInvalid})
			b = append(b, `,"reason":`...)
			b = appendString(b, faults[0].text)
			b = append(b, '}')
			faults = faults[1:]
			continue
		}
		valid := i - (len(p.faults) - len(faults))
		b = appendResult(b, p.alerts[valid].Fingerprint, results[valid])
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

// appendResult appends a result without the brace that ends it.
func appendResult(b []byte, fingerprint string, r intake.Result) []byte {
	b = append(b, `{"fingerprint":`...)
	b = appendString(b, fingerprint)
	b = append(b, `,"slo":`...)
	b = appendString(b, r.SLO)
	b = append(b, `,"incident":`...)
	if r.Incident > 0 {
		b = appendString(b, incident.ID(r.Incident))
	} else {
		b = append(b, `""`...)
	}
	b = append(b, `,"result":`...)
	b = appendString(b, string(r.Result))
	b = append(b, `,"ambiguous":[`...)
	for i, slo := range r.Ambiguous {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, slo)
	}
	return append(b, ']')
}

func appendString(b []byte, s string) []byte {
	// The error says that invalid UTF-8 was replaced.
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
