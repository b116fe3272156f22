// Go's net/http: an encoder writes to the response, and the type is guessed from the first bytes.
package main

import (
	"encoding/json"
	"net/http"
	"os"
)

type customers struct {
	Customers []struct {
		Tenure float64 `json:"tenure"`
	} `json:"customers"`
}

func main() {
	http.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) {
		var asked customers
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		labels := []string{}
		for _, one := range asked.Customers {
			if one.Tenure < 12 {
				labels = append(labels, "churn")
			} else {
				labels = append(labels, "stay")
			}
		}
		json.NewEncoder(w).Encode(map[string]any{"predictions": labels})
	})
	http.HandleFunc("POST /number", func(w http.ResponseWriter, r *http.Request) {
		var asked customers
		json.NewDecoder(r.Body).Decode(&asked)
		values := []float64{}
		for _, one := range asked.Customers {
			values = append(values, one.Tenure*0.5)
		}
		json.NewEncoder(w).Encode(map[string]any{"predictions": values})
	})
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
