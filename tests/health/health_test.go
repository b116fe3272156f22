// Package health lets those who wait for a ModelDeployment judge it: kstatus, by which Helm and Flux wait, in both
// libraries that they use, and the health check for Argo CD that manifests/argocd holds, run by Argo CD's own interpreter.
package health

import (
	"os"
	"testing"
	"time"

	fluxstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// verdict is what kstatus and Argo CD should say.
type verdict struct{ kstatus, argo string }

var (
	finished = verdict{"Current", "Healthy"}
	underWay = verdict{"InProgress", "Progressing"}
	failed   = verdict{"Failed", "Degraded"}
)

// The situations of situations.json, which the controller's own tests write.
var expected = map[string]verdict{
	"seen for the first time":                       underWay,
	"first version coming":                          underWay,
	"serving":                                       finished,
	"new version coming, old one serving":           underWay,
	"new version stuck, old one serving":            failed,
	"registry down, serving":                        finished,
	"pinned, serving":                               finished,
	"autoUpdate off, serving":                       finished,
	"spec invalid, serving":                         failed,
	"pods refused":                                  failed,
	"new version not accepted, old one serving":     finished,
	"first version of all not accepted":             failed,
	"scaled to zero":                                finished,
	"serving version broken":                        failed,
	"spec changed, and nobody has looked at it yet": underWay,
}

type situation struct {
	Name   string         `json:"name"`
	Object map[string]any `json:"object"`
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func situations(t *testing.T) []situation {
	t.Helper()
	var all []situation
	if err := json.Unmarshal(read(t, "situations.json"), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// computed is the verdict of both libraries of kstatus.
func computed(t *testing.T, object map[string]any) (string, string) {
	t.Helper()
	cli, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	flux, err := fluxstatus.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	return cli.Status.String(), flux.Status.String()
}

func TestEverySituationIsJudgedAsItIs(t *testing.T) {
	script := healthCheck(t)
	seen := 0
	for _, situation := range situations(t) {
		want, known := expected[situation.Name]
		if !known {
			t.Errorf("%s: no verdict is expected of it", situation.Name)
			continue
		}
		seen++
		if cli, flux := computed(t, situation.Object); cli != want.kstatus || flux != want.kstatus {
			t.Errorf("%s: kstatus says %s, Flux's says %s, and it is %s", situation.Name, cli, flux, want.kstatus)
		}
		if argo, message := judged(t, script, situation.Object); argo != want.argo || message == "" {
			t.Errorf("%s: Argo CD says %s (%q), and it is %s", situation.Name, argo, message, want.argo)
		}
	}
	if seen != len(expected) {
		t.Errorf("%d situations of %d are there", seen, len(expected))
	}
}

// As `kubectl apply` leaves an object where no operator runs: its status is the CRD's default, if there is one.
func untouched(t *testing.T) map[string]any {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties struct {
							Status struct{ Default map[string]any }
						}
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "../../crds/modeldeployments.modelship.dev.yaml"), &crd); err != nil {
		t.Fatal(err)
	}
	object := map[string]any{
		"apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment",
		"metadata": map[string]any{"name": "churn", "namespace": "default", "generation": int64(1)},
		"spec":     map[string]any{"image": map[string]any{"repository": "alice/churn"}},
	}
	if given := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Status.Default; given != nil {
		for name, value := range given {
			if number, isNumber := value.(float64); isNumber {
				given[name] = int64(number)
			}
		}
		object["status"] = given
	}
	return object
}

func TestNobodyTakesAnObjectForFinishedThatNoOperatorHasSeen(t *testing.T) {
	object := untouched(t)
	if cli, flux := computed(t, object); cli != "InProgress" || flux != "InProgress" {
		t.Errorf("kstatus says %s, Flux's says %s", cli, flux)
	}
	if argo, _ := judged(t, healthCheck(t), object); argo != "Progressing" {
		t.Errorf("Argo CD says %s", argo)
	}
	delete(object, "status")
	if cli, flux := computed(t, object); cli != "Current" || flux != "Current" {
		t.Errorf("without a status kstatus says %s and Flux's %s: the CRD's default is needed no more", cli, flux)
	}
	if argo, _ := judged(t, healthCheck(t), object); argo != "Progressing" {
		t.Errorf("without a status Argo CD says %s", argo)
	}
}

func TestWhatIsBeingDeletedIsTerminating(t *testing.T) {
	object := untouched(t)
	object["metadata"].(map[string]any)["deletionTimestamp"] = time.Unix(0, 0).UTC().Format(time.RFC3339)
	if cli, flux := computed(t, object); cli != "Terminating" || flux != "Terminating" {
		t.Errorf("kstatus says %s, Flux's says %s", cli, flux)
	}
}

func healthCheck(t *testing.T) string {
	t.Helper()
	var settings struct{ Data map[string]string }
	if err := yaml.Unmarshal(read(t, "../../manifests/argocd/argocd-cm.yaml"), &settings); err != nil {
		t.Fatal(err)
	}
	script := settings.Data["resource.customizations.health.modelship.dev_ModelDeployment"]
	if script == "" {
		t.Fatal("there is no health check under the name that Argo CD looks for")
	}
	return script
}

// judged is the health and the message that the script returns, run with the libraries that Argo CD opens to it.
func judged(t *testing.T, script string, object map[string]any) (string, string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	health, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the script returns %s", state.Get(-1))
	}
	return health.RawGetString("status").String(), health.RawGetString("message").String()
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case float64:
		return lua.LNumber(from)
	case int64:
		return lua.LNumber(from)
	case []any:
		list := state.NewTable()
		for _, item := range from {
			list.Append(value(state, item))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for name, field := range from {
			table.RawSetString(name, value(state, field))
		}
		return table
	}
	return lua.LNil
}
