package cli

import (
	"context"
	"errors"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/demo"
)

func declareDemo(parser *kingpin.Application, env Environment, commands map[string]command) {
	o := demo.Options{Out: env.Stdout, Die: env.Die}
	cmd := parser.Command("demo", "Play a short incident with the real service and the sample organisation. Needs no other server.")
	cmd.Flag("dir", "An empty folder for its files; default is a new temporary one. It is kept.").StringVar(&o.Dir)
	cmd.Flag("listen", "Where its page is; default is a free port of this machine.").Default("127.0.0.1:0").StringVar(&o.Listen)
	cmd.Flag("once", "End after the story, instead of keeping the page open.").BoolVar(&o.Once)
	commands[cmd.FullCommand()] = func(ctx context.Context) error {
		err := demo.Run(ctx, o)
		if errors.Is(err, demo.ErrNotEmpty) {
			return &usageError{"--dir=" + err.Error()}
		}
		return err
	}
}
