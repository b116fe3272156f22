package main

import (
	"errors"
	"flag"
	"fmt"
)

var commands = map[string]func(Layout, []string) error{
	"build": buildCommand, "build-tool": buildToolCommand, "deps": depsCommand,
	"up": upCommand, "down": downCommand, "status": statusCommand, "leftovers": leftoversCommand,
	"kubeconfig": kubeconfigCommand, "user": userCommand, "load": loadCommand, "registry": registryCommand,
}

func noMore(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("argument %q is too many", rest[0])
	}
	return nil
}

func buildCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	level := flags.String("level", string(LevelAPI), "api or full")
	rest, err := parse(flags, arguments)
	if err = errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	parsed, err := parseLevel(*level)
	if err != nil {
		return err
	}
	return layout.build(parsed)
}

func buildToolCommand(layout Layout, arguments []string) error {
	if len(arguments) == 0 {
		known, err := layout.tools()
		if err != nil {
			return err
		}
		return fmt.Errorf("which tool? there are: %v", known)
	}
	for _, name := range arguments {
		target, err := layout.tool(name)
		if err != nil {
			return err
		}
		if err := layout.buildTarget(target); err != nil {
			return err
		}
	}
	return nil
}

func depsCommand(_ Layout, arguments []string) error {
	if err := noMore(arguments); err != nil {
		return err
	}
	return installDependencies()
}

func upCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	level := flags.String("level", string(LevelAPI), "api or full")
	name := flags.String("name", "", "name of the instance; the level's unless given")
	audit := flags.Bool("audit", true, "write audit.log")
	fresh := flags.Bool("fresh", false, "remove what an earlier run left, first")
	rest, err := parse(flags, arguments)
	if err = errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	options := UpOptions{Name: *name, Audit: *audit, Fresh: *fresh}
	if options.Level, err = parseLevel(*level); err != nil {
		return err
	}
	if options.Name == "" {
		options.Name = string(options.Level)
	}
	if err := checkInstanceName(options.Name); err != nil {
		return err
	}
	return layout.up(options)
}

func downCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("down", flag.ContinueOnError)
	name := flags.String("name", "", "name of the instance; needed when there are several")
	all := flags.Bool("all", false, "every instance of this build folder")
	keep := flags.Bool("keep-images", false, "keep what was pushed to the full level's registry")
	rest, err := parse(flags, arguments)
	if err = errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	var chosen []*Instance
	if *all {
		if chosen, err = layout.instances(); err != nil {
			return err
		}
		chosen = withOrphans(layout, chosen)
	} else {
		i, err := layout.choose(*name)
		if err != nil {
			return err
		}
		chosen = []*Instance{i}
	}
	for _, i := range chosen {
		release, err := i.lock()
		if err != nil {
			return err
		}
		err = i.down(DownOptions{KeepImages: *keep})
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// choose finds the instance that is meant when a name is given, or when there is only one.
func (l Layout) choose(name string) (*Instance, error) {
	if name != "" {
		return l.instance(name), checkInstanceName(name)
	}
	all, err := l.instances()
	if err != nil {
		return nil, err
	}
	var clusters []*Instance
	for _, i := range all {
		if state, err := i.loadState(); err != nil || state.Registry == nil {
			clusters = append(clusters, i)
		}
	}
	switch len(clusters) {
	case 1:
		return clusters[0], nil
	case 0:
		return nil, errors.New("no cluster here: run up first")
	}
	var names []string
	for _, i := range clusters {
		names = append(names, i.Name)
	}
	return nil, fmt.Errorf("say which with --name: %v", names)
}

func statusCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	name := flags.String("name", "", "name of the instance; all of them unless given")
	rest, err := parse(flags, arguments)
	if err = errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	return layout.status(*name)
}

func leftoversCommand(layout Layout, arguments []string) error {
	if err := noMore(arguments); err != nil {
		return err
	}
	return layout.reportLeftovers()
}

func kubeconfigCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("kubeconfig", flag.ContinueOnError)
	name := flags.String("name", "", "name of the instance")
	rest, err := parse(flags, arguments)
	if err = errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	i, err := layout.choose(*name)
	if err != nil {
		return err
	}
	if _, err := i.loadState(); err != nil {
		return fmt.Errorf("no cluster %q here: run up first", i.Name)
	}
	fmt.Println(i.kubeconfig())
	return nil
}

func userCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("user", flag.ContinueOnError)
	name := flags.String("name", "", "name of the instance")
	var groups list
	flags.Var(&groups, "group", "group of the user; may be repeated")
	rest, err := parse(flags, arguments)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("say the name of one user")
	}
	i, err := layout.choose(*name)
	if err != nil {
		return err
	}
	file, err := i.userKubeconfig(rest[0], groups)
	if err != nil {
		return err
	}
	fmt.Println(file)
	return nil
}

func loadCommand(layout Layout, arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	image := flags.String("name", "", "name the image gets, docker.io/x/y:tag")
	cluster := flags.String("cluster", string(LevelFull), "name of the instance")
	rest, err := parse(flags, arguments)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("say the file of one image")
	}
	return layout.instance(*cluster).load(rest[0], *image)
}

func registryCommand(layout Layout, arguments []string) error {
	if len(arguments) == 0 || (arguments[0] != "up" && arguments[0] != "down") {
		return errors.New("say registry up or registry down")
	}
	flags := flag.NewFlagSet("registry "+arguments[0], flag.ContinueOnError)
	name := flags.String("name", "", "name of the registry")
	port := flags.Int("port", 0, "port to listen on")
	listen := flags.String("listen", "127.0.0.1", "address to listen on")
	htpasswd := flags.String("htpasswd", "", "USER:PASSWORD that every request has to show")
	hosts := flags.String("hosts", "", "host name the node shall look for here")
	rest, err := parse(flags, arguments[1:])
	if err = errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	if *name == "" {
		return errors.New("say --name NAME")
	}
	i := layout.instance("registry-" + *name)
	if err := checkInstanceName(i.Name); err != nil {
		return err
	}
	release, err := i.lock()
	if err != nil {
		return err
	}
	defer release()
	if arguments[0] == "down" {
		return i.down(DownOptions{})
	}
	return i.registryUp(RegistryState{Listen: *listen, Port: *port, Credentials: *htpasswd, Hosts: *hosts})
}
