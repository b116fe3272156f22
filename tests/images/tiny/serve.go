package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The variables that set a server's behaviour. push writes them into the image; a pod's own env overrides them.
const (
	envAnswer         = "TINYMODEL_ANSWER"          // JSON value predicted for every row
	envListen         = "TINYMODEL_LISTEN"          // host:port
	envStartDelay     = "TINYMODEL_START_DELAY"     // time before the port opens
	envLatency        = "TINYMODEL_LATENCY"         // time every prediction takes
	envCrash          = "TINYMODEL_CRASH"           // "true": exit with 1 before the port opens
	envCrashAfter     = "TINYMODEL_CRASH_AFTER"     // exit with 1 this long after the port opened
	envUnhealthy      = "TINYMODEL_UNHEALTHY"       // "true": health paths answer 503
	envUnhealthyAfter = "TINYMODEL_UNHEALTHY_AFTER" // health paths answer 503 this long after the port opened
	envFail           = "TINYMODEL_FAIL"            // "true": predictions answer 400, as MLflow does when a model raises
	envWorkers        = "TINYMODEL_WORKERS"         // requests served at once, health paths included; others wait
)

const maxBody = 16 << 20

// latencyHeader of a request stands in for TINYMODEL_LATENCY.
const latencyHeader = "X-Tinymodel-Latency"

func serve([]string) error {
	answer := json.RawMessage(os.Getenv(envAnswer))
	if len(answer) == 0 {
		answer = json.RawMessage("0")
	}
	if !json.Valid(answer) {
		return fmt.Errorf("%s is not JSON: %s", envAnswer, answer)
	}
	listen := os.Getenv(envListen)
	if listen == "" {
		listen = "0.0.0.0:8080"
	}

	// MLflow's server does not drain: it is gone as soon as it is asked to go.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-stop; os.Exit(0) }()

	if os.Getenv(envCrash) == "true" {
		return errors.New("told to crash at start")
	}
	time.Sleep(duration(envStartDelay))
	if after := duration(envCrashAfter); after > 0 {
		time.AfterFunc(after, func() {
			fmt.Fprintln(os.Stderr, "tinymodel: told to crash after", after)
			os.Exit(1)
		})
	}

	opened := time.Now()
	health := func(w http.ResponseWriter, r *http.Request) {
		after := duration(envUnhealthyAfter)
		switch {
		case os.Getenv(envUnhealthy) == "true", after > 0 && time.Since(opened) > after:
			http.Error(w, "told to be unhealthy", http.StatusServiceUnavailable)
		case r.Method != http.MethodGet: // as FastAPI: a HEAD is refused too
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			fmt.Fprintln(w)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", health)
	mux.HandleFunc("/health", health)
	mux.HandleFunc("GET /env", func(w http.ResponseWriter, _ *http.Request) {
		environment := map[string]string{}
		for _, pair := range os.Environ() {
			name, value, _ := strings.Cut(pair, "=")
			environment[name] = value
		}
		reply(w, http.StatusOK, environment)
	})
	mux.HandleFunc("POST /invocations", func(w http.ResponseWriter, r *http.Request) {
		latency := duration(envLatency)
		if asked, err := time.ParseDuration(r.Header.Get(latencyHeader)); err == nil {
			latency = asked
		}
		time.Sleep(latency)
		rows, err := countRows(io.LimitReader(r.Body, maxBody))
		if err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error_code": "BAD_REQUEST", "message": err.Error()})
			return
		}
		if os.Getenv(envFail) == "true" {
			reply(w, http.StatusBadRequest, crash)
			return
		}
		predictions := make([]json.RawMessage, rows)
		for i := range predictions {
			predictions[i] = answer
		}
		reply(w, http.StatusOK, map[string]any{"predictions": predictions})
	})
	fmt.Fprintf(os.Stderr, "tinymodel: answering %s on %s\n", answer, listen)
	return http.ListenAndServe(listen, atOnce(mux))
}

// crash is how MLflow's server says that the model raised, here for a fault that no request causes.
var crash = map[string]string{
	"error_code":  "BAD_REQUEST",
	"message":     "Encountered an unexpected error while evaluating the model",
	"stack_trace": "Traceback (most recent call last):\n  File \"model.py\", line 1, in predict\nNameError: name 'weights' is not defined\n",
}

// atOnce lets so many requests in as there are workers.
func atOnce(handler http.Handler) http.Handler {
	workers, err := strconv.Atoi(os.Getenv(envWorkers))
	if err != nil || workers < 1 {
		return handler
	}
	places := make(chan struct{}, workers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		places <- struct{}{}
		defer func() { <-places }()
		handler.ServeHTTP(w, r)
	})
}

func duration(variable string) time.Duration {
	value := os.Getenv(variable)
	if value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		fmt.Fprintf(os.Stderr, "tinymodel: %s: %v\n", variable, err)
		os.Exit(1)
	}
	return d
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// countRows knows MLflow's request shapes, of which exactly one must be present.
func countRows(body io.Reader) (int, error) {
	var request struct {
		Split     *struct{ Data []any } `json:"dataframe_split"`
		Records   []any                 `json:"dataframe_records"`
		Instances []any                 `json:"instances"`
		Inputs    any                   `json:"inputs"`
	}
	if err := json.NewDecoder(body).Decode(&request); err != nil {
		return 0, fmt.Errorf("Invalid input. The input is not a JSON object: %w", err)
	}
	switch inputs, isList := request.Inputs.([]any); {
	case request.Split != nil:
		return len(request.Split.Data), nil
	case request.Records != nil:
		return len(request.Records), nil
	case request.Instances != nil:
		return len(request.Instances), nil
	case isList:
		return len(inputs), nil
	case request.Inputs != nil:
		return 1, nil
	}
	return 0, errors.New("Invalid input. The input must hold one of dataframe_split, dataframe_records, instances, inputs")
}
