package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// arrange returns the command line in the order that the parser wants, so that flags
// may stand anywhere: before the command too, and with values that begin with "-" or
// "@". First come the words of the command, then the flags, each with its value, then
// the arguments.
//
// What it does not know is left as it stands, for the parser to complain about.
func arrange(args []string, model *kingpin.ApplicationModel) []string {
	if len(args) > 0 && strings.HasPrefix(args[0], "--completion-") {
		return args
	}
	known := flagsOf(model)
	var flags, words []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			words = append(words, args[i+1:]...)
			i = len(args)
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			words = append(words, arg)
		case strings.HasPrefix(arg, "--"):
			if known.long[arg[2:]] && i+1 < len(args) {
				i++
				arg += "=" + args[i]
			}
			flags = append(flags, arg)
		default:
			name, rest := arg[1:2], arg[2:]
			if long := known.short[name]; long != "" {
				if rest == "" && i+1 < len(args) {
					i++
					rest = args[i]
				}
				arg = "--" + long + "=" + strings.TrimPrefix(rest, "=")
			}
			flags = append(flags, arg)
		}
	}
	n := commandWords(words, model.Commands)
	out := append(append([]string{}, words[:n]...), flags...)
	if n < len(words) {
		out = append(append(out, "--"), words[n:]...)
	}
	return out
}

// knownFlags are the flags that take a value, of all commands.
type knownFlags struct {
	long  map[string]bool
	short map[string]string // to the long name
}

func flagsOf(model *kingpin.ApplicationModel) knownFlags {
	known := knownFlags{map[string]bool{}, map[string]string{}}
	boolean := map[string]bool{}
	add := func(flags []*kingpin.FlagModel) {
		for _, f := range flags {
			if f.IsBoolFlag() {
				boolean[f.Name] = true
				continue
			}
			known.long[f.Name] = true
			if f.Short != 0 {
				known.short[string(f.Short)] = f.Name
			}
		}
	}
	var walk func([]*kingpin.CmdModel)
	walk = func(commands []*kingpin.CmdModel) {
		for _, c := range commands {
			add(c.Flags)
			walk(c.Commands)
		}
	}
	add(model.Flags)
	walk(model.Commands)
	// A name that takes a value in one command and none in another is the parser's.
	for name := range boolean {
		delete(known.long, name)
	}
	return known
}

// commandWords returns how many of the words, from the first, name a command.
func commandWords(words []string, commands []*kingpin.CmdModel) int {
	for n, word := range words {
		var found *kingpin.CmdModel
		for _, c := range commands {
			if c.Name == word || slices.Contains(c.Aliases, word) {
				found = c
			}
		}
		if found == nil {
			return n
		}
		commands = found.Commands
	}
	return len(words)
}
