package alertmanagers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// decode reads a list of alerts, as of GET /api/v2/alerts, one at a time, and returns
// the fingerprints of those that fire at now. Their state is not read: active,
// suppressed and unprocessed are all firing.
func decode(r io.Reader, now time.Time) (map[string]struct{}, error) {
	dec := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() == jsontext.KindInvalid {
		_, err := dec.ReadToken()
		return nil, err
	}
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != jsontext.KindBeginArray {
		return nil, errors.New("the answer is not a list")
	}
	firing := make(map[string]struct{})
	for dec.PeekKind() == jsontext.KindBeginObject {
		fingerprint, endsAt, err := alert(dec)
		if err != nil {
			return nil, err
		}
		if fingerprint == "" {
			return nil, errors.New("an alert without fingerprint")
		}
		if endsAt.IsZero() || endsAt.After(now) {
			firing[fingerprint] = struct{}{}
		}
	}
	// Without the end of the list the rest is missing, and what is missing would be
	// taken for ended.
	switch tok, err := dec.ReadToken(); {
	case err != nil:
		return nil, fmt.Errorf("the list is cut short: %w", err)
	case tok.Kind() != jsontext.KindEndArray:
		return nil, errors.New("the list holds something that is no alert")
	}
	return firing, nil
}

// alert reads one alert: what names it, and when it ends, if it says so.
func alert(dec *jsontext.Decoder) (fingerprint string, endsAt time.Time, err error) {
	if _, err := dec.ReadToken(); err != nil {
		return "", time.Time{}, err
	}
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadToken()
		if err != nil {
			return "", time.Time{}, err
		}
		switch key := name.String(); {
		case dec.PeekKind() != jsontext.KindString || key != "fingerprint" && key != "endsAt":
			err = dec.SkipValue()
		case key == "fingerprint":
			fingerprint, err = text(dec)
		default:
			endsAt, err = moment(dec)
		}
		if err != nil {
			return "", time.Time{}, err
		}
	}
	_, err = dec.ReadToken()
	return fingerprint, endsAt, err
}

func text(dec *jsontext.Decoder) (string, error) {
	tok, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return tok.String(), nil
}

func moment(dec *jsontext.Decoder) (time.Time, error) {
	s, err := text(dec)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errors.New("an endsAt that is no time")
	}
	return t, nil
}

// started returns when an Alertmanager started; zero if it does not say.
func started(ctx context.Context, e Endpoint) (time.Time, error) {
	resp, err := get(ctx, e, "/api/v2/status")
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	// A proxy may let only the alerts through, and so may the rights of a token of Grafana.
	if resp.StatusCode != http.StatusOK {
		return time.Time{}, nil
	}
	var status struct {
		Uptime time.Time `json:"uptime"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&status); err != nil {
		return time.Time{}, nil
	}
	return status.Uptime.UTC(), nil
}
