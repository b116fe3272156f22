#!/usr/bin/env bash
# Kubernetes 1.36.3 (k8s.io/apiextensions-apiserver v0.36.3), CEL rules of a CustomResourceDefinition: the cost of a rule is estimated by the
# bounds of its lists. A list that is reached by `self.?names.orValue([])` is estimated without its maxItems and maxLength, as if it
# had none, and the definition is refused; the same rule with `!has(self.names) ||` is taken.
#
# Seen:
#   !has(self.names) || self.names.all(name, name.matches('^[a-z]+$'))
#     taken
#   self.?names.orValue([]).all(name, name.matches('^[a-z]+$'))
#     refused: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x
set -euo pipefail

folder=$(mktemp -d)
clean_up() { rm -rf "$folder"; }
trap clean_up EXIT

cat >"$folder/go.mod" <<'GO'
module finding

go 1.26.0

require (
	k8s.io/apiextensions-apiserver v0.36.3
	k8s.io/apimachinery v0.36.3
)
GO
cat >"$folder/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func definition(rule string) *apiextensions.CustomResourceDefinition {
	names, length, preserve := int64(100), int64(256), false
	schema := &apiextensions.JSONSchemaProps{
		Type: "object",
		Properties: map[string]apiextensions.JSONSchemaProps{
			"spec": {
				Type: "object",
				Properties: map[string]apiextensions.JSONSchemaProps{
					"names": {
						Type:     "array",
						MaxItems: &names,
						Items: &apiextensions.JSONSchemaPropsOrArray{
							Schema: &apiextensions.JSONSchemaProps{Type: "string", MaxLength: &length},
						},
					},
				},
				XValidations: apiextensions.ValidationRules{{Rule: rule}},
			},
		},
	}
	return &apiextensions.CustomResourceDefinition{
		ObjectMeta: v1.ObjectMeta{Name: "cellars.example.org"},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group:                 "example.org",
			Scope:                 apiextensions.NamespaceScoped,
			PreserveUnknownFields: &preserve,
			Conversion:            &apiextensions.CustomResourceConversion{Strategy: apiextensions.NoneConverter},
			Names: apiextensions.CustomResourceDefinitionNames{
				Plural: "cellars", Singular: "cellar", Kind: "Cellar", ListKind: "CellarList",
			},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
			}},
			// What all versions have in common stands here once it is decoded.
			Validation: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: schema},
		},
		Status: apiextensions.CustomResourceDefinitionStatus{StoredVersions: []string{"v1"}},
	}
}

func main() {
	for _, rule := range []string{
		`!has(self.names) || self.names.all(name, name.matches('^[a-z]+$'))`,
		`self.?names.orValue([]).all(name, name.matches('^[a-z]+$'))`,
	} {
		verdict := "taken"
		for _, problem := range validation.ValidateCustomResourceDefinition(context.Background(), definition(rule)) {
			verdict = "refused: " + problem.Detail
			if at := strings.Index(problem.Detail, "("); at > 0 {
				verdict = "refused: " + strings.TrimSpace(problem.Detail[:at])
			}
		}
		fmt.Println(rule + "\n  " + verdict)
	}
}
GO

cd "$folder"
go mod tidy >"$folder/log" 2>&1 || { cat "$folder/log" && exit 1; }
seen=$(go run .)
echo "$seen"
[ "$seen" = "!has(self.names) || self.names.all(name, name.matches('^[a-z]+\$'))
  taken
self.?names.orValue([]).all(name, name.matches('^[a-z]+\$'))
  refused: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x" ]
