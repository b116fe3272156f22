// Command cluster-driver builds and runs a real Kubernetes without Docker, for the demonstration and the tests.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

const usage = `usage: tests/cluster/run <command>

  build [--level api|full]                  build what the level needs
  build-tool NAME…                          build a pinned tool into build/bin
  deps                                      install the full level's Debian packages (root)
  up [--level api|full] [--name NAME] [--audit=false] [--fresh]
                                            start, or complete what is missing; prints the kubeconfig's path
  down [--name NAME | --all] [--keep-images]
                                            stop, and remove everything but the logs
  status [--name NAME]                      what runs; exit status 1 unless all of it does
  leftovers                                 what a cluster left outside its folder; exit status 1 if anything
  kubeconfig [--name NAME]                  print the path of the administrator's kubeconfig
  user USER [--group G]… [--name NAME]      issue a client certificate; prints its kubeconfig's path
  load IMAGE.tar [--name docker.io/x/y:tag]
                                            import an OCI or docker archive into the full level's node
  registry up --name NAME --port P [--listen 127.0.0.1] [--htpasswd USER:PASSWORD] [--hosts HOST]
  registry down --name NAME                 a further registry; with --hosts the node pulls HOST/… from it

Everything generated is below build/ (or MODELSHIP_BUILD_DIR).
`

// say reports progress. Standard output is for results, so that $(run up …) is a path.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, arguments...))
}

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error: "+err.Error())
		os.Exit(1)
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, ",") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

// parse accepts flags before, between and after the other arguments.
func parse(flags *flag.FlagSet, arguments []string) ([]string, error) {
	flags.SetOutput(os.Stderr)
	var rest []string
	for {
		if err := flags.Parse(arguments); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest, arguments = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

func dispatch(arguments []string) error {
	if len(arguments) == 0 || arguments[0] == "help" || arguments[0] == "--help" || arguments[0] == "-h" {
		fmt.Print(usage)
		return nil
	}
	name, arguments := arguments[0], arguments[1:]
	if name == nodeCommandName {
		return holdNode(arguments)
	}
	layout, err := layoutFromEnvironment()
	if err != nil {
		return err
	}
	command, known := commands[name]
	if !known {
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("no command %q", name)
	}
	err = command(layout, arguments)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}
