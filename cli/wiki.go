package cli

import (
	"context"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/web/wiki"
)

func declareWiki(parser *kingpin.Application, env Environment, commands map[string]command) {
	cmd := parser.Command("wiki", "Print the priorities and SLOs as a page for a wiki.")
	file := cmd.Flag("config.file", "The configuration.").Default("sitrep.yml").String()
	format := cmd.Flag("format", "md (Markdown for GitHub and Confluence) or html (one file).").Default("md").Enum("md", "html")
	var o wiki.Options
	cmd.Flag("addresses", "Show who is in the groups.").BoolVar(&o.Addresses)
	commands[cmd.FullCommand()] = func(context.Context) error {
		c, err := loadConfig(env.Stderr, *file)
		if err != nil {
			return err
		}
		page := wiki.From(c.Policy())
		if *format == "html" {
			return page.WriteHTML(env.Stdout, o)
		}
		return page.WriteMarkdown(env.Stdout, o)
	}
}
