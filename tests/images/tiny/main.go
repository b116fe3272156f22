// tinymodel is two things in one static program: a model server that answers like MLflow's scoring server but starts in
// milliseconds, and the tool that writes images of it (or of any static programs and ready-made layers) straight into a registry. The
// end-to-end tests push dozens of "new versions" with it, each in well under a second and with no image builder.
package main

import (
	"fmt"
	"os"
)

const usage = `usage: tinymodel COMMAND [flags]      (tinymodel COMMAND -h lists the flags)

  serve   answer GET /ping, GET /health and POST /invocations; settings come from TINYMODEL_* variables
  push    push an image of this very program, with the behaviour that the flags ask for
  image   push an image made of static programs and of layer files (*.tar.gz)
  delete  delete a manifest by digest
`

func main() {
	commands := map[string]func([]string) error{"serve": serve, "push": push, "image": image, "delete": remove}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "tinymodel:", err)
		os.Exit(1)
	}
}
