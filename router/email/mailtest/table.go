package mailtest

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// A Row of a table of behaviours says what came of mails that a server was given.
type Row struct {
	Server string // and what it does
	Mails  int    // that were due
	Came   string // of them, for readers
	Late   string // the last one
}

const tableHead = "| The server | Mails | What readers get | How late |\n|---|---|---|---|\n"

// ReadTable returns the rows of the table of that name in a page: what stands between the
// lines <!-- NAME --> and <!-- end of NAME -->.
func ReadTable(path, name string) ([]Row, error) {
	_, table, _, err := cutTable(path, name)
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(table, tableHead)
	if !ok {
		return nil, fmt.Errorf("read table %q in %q: it does not begin with %q", name, path, tableHead)
	}
	var rows []Row
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 4 {
			return nil, fmt.Errorf("read table %q in %q: %d cells in the row %q, want 4", name, path, len(cells), line)
		}
		row := Row{Server: cells[0], Came: cells[2], Late: cells[3]}
		if _, err := fmt.Sscan(cells[1], &row.Mails); err != nil {
			return nil, fmt.Errorf("read table %q in %q: the mails of the row %q: %w", name, path, line, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// WriteTable writes the rows in the place of those that the table of that name has. Tables
// of one page are not to be written at the same time.
func WriteTable(path, name string, rows []Row) error {
	before, _, after, err := cutTable(path, name)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(before + tableHead)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", cell(r.Server), r.Mails, cell(r.Came), cell(r.Late))
	}
	b.WriteString(after)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// cutTable returns a page in three: up to a table, the table, and the rest.
func cutTable(path, name string) (before, table, after string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "", "", err
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, found := strings.Cut(string(b), begin)
	table, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", "", "", fmt.Errorf("find table %q in %q: no lines %q and %q", name, path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin, table, end + after, nil
}

// cell returns a text that breaks no row.
func cell(s string) string {
	return strings.NewReplacer("|", "/", "\n", " ").Replace(s)
}

// Late says how late something came, to the second.
func Late(d time.Duration) string {
	if d < time.Second {
		return "at once"
	}
	return d.Round(time.Second).String()
}
