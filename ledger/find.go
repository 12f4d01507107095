package ledger

import "strings"

// signatureMark begins each line of a note that is a signature.
const signatureMark = "— "

// FindCheckpoints returns the signed checkpoints in a text that people kept, such as a
// mail or a file of several: each as it was signed, in order. What else is in the text
// is passed over, and so is what a mail program does to the ends of lines.
func FindCheckpoints(text []byte) [][]byte {
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	var found [][]byte
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], signatureMark) || i < 2 || lines[i-1] != "" {
			continue
		}
		from := i - 1
		for from > 0 && lines[from-1] != "" && !strings.HasPrefix(lines[from-1], signatureMark) {
			from--
		}
		end := i + 1
		for end < len(lines) && strings.HasPrefix(lines[end], signatureMark) {
			end++
		}
		signed := []byte(strings.Join(lines[from:end], "\n") + "\n")
		if _, err := ReadCheckpoint(signed); err == nil {
			found = append(found, signed)
		}
		i = end - 1
	}
	return found
}
