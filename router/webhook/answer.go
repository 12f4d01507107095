package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sitrep/router"
)

// mostAnswer is how many bytes of what a chat answers are read.
const mostAnswer = 4 << 10

// verdict returns what an answer of the chat means, nil if it took the message. Of the text of
// the answer only codes that are known are shown: the rest is a stranger's, and may quote the URL.
func (c *chat) verdict(resp *http.Response) error {
	said, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	status := resp.StatusCode
	if refused := verdict(status); refused != nil {
		return c.refusal(status, code(said), refused)
	}
	switch {
	case c.took(status, strings.TrimSpace(string(said))):
		return nil
	case err != nil:
		return fmt.Errorf("answered %s, and broke off: %w", words(status), router.ErrUnknown)
	}
	return fmt.Errorf("answered %s, but not as %s does when it takes a message; look whether it is %s: %w", words(status), c.name, c.hook, router.ErrSetup)
}

// refusal returns what a refusal means, by its code if that is known and else by its status.
func (c *chat) refusal(status int, code string, by error) error {
	kind, known := c.codes[code]
	switch {
	case known && kind != nil:
		return fmt.Errorf("answered %s, %s: %w", words(status), code, kind)
	case known:
		return fmt.Errorf("answered %s, %s", words(status), code)
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusBadRequest && c.setUp400:
		return fmt.Errorf("answered %s; look whether it is %s: %w", words(status), c.hook, router.ErrSetup)
	}
	return by
}

// code returns what an answer calls a refusal: its text, or what JSON has as id or as code of an
// error.
func code(said []byte) string {
	var answer struct {
		ID    string `json:"id"`
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(said, &answer); err == nil {
		if answer.ID != "" {
			return answer.ID
		}
		return answer.Error.Code
	}
	return strings.TrimSpace(string(said))
}
