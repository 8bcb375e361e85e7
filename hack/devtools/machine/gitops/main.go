// Command gitops tells what GitOps tools make of objects: gitops HEALTH.LUA < OBJECTS.JSON, where the objects are a JSON
// list. It writes a JSON list of {"argo": STATUS, "said": MESSAGE, "kstatus": STATUS}: Argo CD's health by the script, in
// Argo CD's own Lua VM, and Flux's by kstatus.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type verdict struct {
	Argo    string `json:"argo"`
	Said    string `json:"said"`
	Kstatus string `json:"kstatus"`
}

func main() {
	if err := judge(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(path string) error {
	script, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	verdicts := []verdict{}
	for _, object := range objects {
		found, err := health(string(script), object)
		if err != nil {
			return err
		}
		result, err := status.Compute(&unstructured.Unstructured{Object: whole(object).(map[string]any)})
		if err != nil {
			return err
		}
		found.Kstatus = result.Status.String()
		verdicts = append(verdicts, found)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func health(script string, object map[string]any) (verdict, error) {
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", table(state, object))
	if err := state.DoString(script); err != nil {
		return verdict{}, err
	}
	returned, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return verdict{}, fmt.Errorf("the script returned no table")
	}
	return verdict{
		Argo: lua.LVAsString(returned.RawGetString("status")),
		Said: lua.LVAsString(returned.RawGetString("message")),
	}, nil
}

// table turns what JSON holds into what Lua holds, as Argo CD does.
func table(state *lua.LState, value any) lua.LValue {
	switch typed := value.(type) {
	case map[string]any:
		made := state.NewTable()
		for name, below := range typed {
			made.RawSetString(name, table(state, below))
		}
		return made
	case []any:
		made := state.NewTable()
		for _, below := range typed {
			made.Append(table(state, below))
		}
		return made
	case string:
		return lua.LString(typed)
	case float64:
		return lua.LNumber(typed)
	case bool:
		return lua.LBool(typed)
	}
	return lua.LNil
}

// whole has whole numbers as integers, as the API machinery has them.
func whole(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for name, below := range typed {
			typed[name] = whole(below)
		}
	case []any:
		for index, below := range typed {
			typed[index] = whole(below)
		}
	case float64:
		return int64(typed)
	}
	return value
}
