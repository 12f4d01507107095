package email

import (
	"bytes"
	"errors"
	"reflect"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/templates"
	"sitrep/wording"
)

// A content is what a mail says, the same for all who are told the same.
type content struct {
	templates.Mail
	language string // the tag of what it is in
	// failed is why a template of one's own could not say it; nil if none failed.
	failed error
	// between is the body cut at its boundaries, each part with headers of its own.
	between [][]byte
}

// contentOf puts a message into words: by templates of one's own, and in sitrep's words what those do
// not say. What it is given has no ID and no recipient, so it holds for any.
func contentOf(m *incident.Message, own *templates.Set) (c content, err error) {
	c.language = wording.In(m.Language).Tag()
	c.Mail, c.failed = own.Mail(m)
	if c.Subject == "" {
		c.Subject = wording.Subject(m)
	}
	if c.Text == "" || c.HTML == "" {
		if err := c.fill(wording.Compose(m)); err != nil {
			return c, err
		}
	}
	c.between, err = cut(c.Text, c.HTML)
	return c, err
}

// fill says in the words of a report what no template says.
func (c *content) fill(report *wording.Report) (err error) {
	if c.Text == "" {
		if c.Text, err = report.Text(); err != nil {
			return err
		}
	}
	if c.HTML == "" {
		var page bytes.Buffer
		err = htmlTemplate.ExecuteTemplate(&page, "report.html.tmpl", report)
		c.HTML = page.String()
	}
	return err
}

// cut returns the body of a mail that says that, cut at its boundaries.
func cut(text, page string) ([][]byte, error) {
	mm, mark := newMail(nil, time.Time{}), boundary("", text, page)
	mm.SetBoundary(mark)
	mm.SetBody("text/plain", text)
	mm.AddAlternative("text/html", page)
	var out bytes.Buffer
	if _, err := mm.WriteTo(&out); err != nil {
		return nil, err
	}
	_, body, _ := bytes.Cut(out.Bytes(), []byte("\r\n\r\n"))
	between := bytes.Split(body, []byte("--"+mark))
	if len(between) != 4 { // before both parts, these, and after them
		return nil, errors.New("a body that is not of two parts")
	}
	return between, nil
}

// contentsKept is how many contents are kept: of one incident, groups with zones and audiences of
// their own are told at a time.
const contentsKept = 16

// contents are those that were made last. Many readers of one incident are told the same at the
// same time: it is put into words once. One is found by all that a message says, and not by a part
// of that, so it cannot be another's.
type contents struct {
	mu   sync.Mutex
	kept [contentsKept]struct {
		of incident.Message // without ID and recipient
		content
	}
	next int
}

// of returns the content of a message. A nil c keeps none.
func (c *contents) of(m *incident.Message, own *templates.Set) (content, error) {
	anyone := *m
	anyone.ID, anyone.Recipient = "", incident.Recipient{}
	if c == nil || len(m.Items) != 1 { // a digest is one reader's, and large
		return contentOf(&anyone, own)
	}
	if found, ok := c.find(&anyone); ok {
		return found, nil
	}
	made, err := contentOf(&anyone, own)
	if err != nil {
		return made, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[c.next].of, c.kept[c.next].content = anyone, made
	c.next = (c.next + 1) % contentsKept
	return made, nil
}

func (c *contents) find(m *incident.Message) (content, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.kept {
		k := &c.kept[i]
		// First what tells most apart, as the rest takes a while.
		if k.of.At.Equal(m.At) && k.of.Kind == m.Kind && reflect.DeepEqual(&k.of, m) {
			return k.content, true
		}
	}
	return content{}, false
}
