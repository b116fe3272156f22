#!/usr/bin/env bash
# promql-parser 0.11.1 (the Rust crate) beside Prometheus 3.15's own parser (module v0.315.0): text between backquotes. Prometheus
# takes it as it is, as Go does, and regular expressions of alerts are mostly written so; the crate looks for escapes in it. So it
# refuses queries that Prometheus evaluates, and whoever checks a team's rules with it tells them to mend what is right.
#
# Seen:
#   http_requests_total{path=~`/v\d+`}
#     Prometheus: taken
#     promql-parser: refused
#   http_requests_total{path=~"/v\\d+"}
#     Prometheus: taken
#     promql-parser: taken
set -euo pipefail

folder=$(mktemp -d)
clean_up() { rm -rf "$folder"; }
trap clean_up EXIT

mkdir -p "$folder/go" "$folder/rust/src"
cat >"$folder/queries" <<'QUERIES'
http_requests_total{path=~`/v\d+`}
http_requests_total{path=~"/v\\d+"}
QUERIES

cat >"$folder/go/go.mod" <<'GO'
module finding

go 1.26

require github.com/prometheus/prometheus v0.315.0
GO
cat >"$folder/go/main.go" <<'GO'
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(lines.Text()); err != nil {
			fmt.Println("refused")
			fmt.Fprintln(os.Stderr, "Prometheus:", err)
		} else {
			fmt.Println("taken")
		}
	}
}
GO
cat >"$folder/rust/Cargo.toml" <<'RUST'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
promql-parser = "=0.11.1"

[workspace]
RUST
cat >"$folder/rust/src/main.rs" <<'RUST'
fn main() {
    for query in std::io::stdin().lines() {
        match promql_parser::parser::parse(&query.unwrap()) {
            Ok(_) => println!("taken"),
            Err(error) => {
                println!("refused");
                eprintln!("promql-parser: {error}");
            }
        }
    }
}
RUST

(cd "$folder/go" && go mod tidy >"$folder/log" 2>&1 && go run . <"$folder/queries" >"$folder/prometheus")
cargo run --quiet --manifest-path "$folder/rust/Cargo.toml" <"$folder/queries" >"$folder/crate"

seen=$(paste -d '\n' "$folder/queries" <(sed 's/^/  Prometheus: /' "$folder/prometheus") <(sed 's/^/  promql-parser: /' "$folder/crate"))
echo "$seen"
# shellcheck disable=SC2016
[ "$seen" = 'http_requests_total{path=~`/v\d+`}
  Prometheus: taken
  promql-parser: refused
http_requests_total{path=~"/v\\d+"}
  Prometheus: taken
  promql-parser: taken' ]
