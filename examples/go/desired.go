// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	kinsock "kinsock.example/operator/kinsock/v1"
)

// ownerLabel marks the VMs that an operator may change and delete. What does not carry it with the operator's name is
// somebody else's, even under a name that is desired here.
const ownerLabel = "kinsock.example/owner"

// desiredVM is what a file asks for.
type desiredVM struct {
	vm *kinsock.Vm
	// digest changes when the file asks for something else.
	digest string
}

// readDesired reads all VMs of a directory: NAME.yaml or NAME.json, in the form in which `kinsockctl vm get -o yaml` prints
// one. In Kubernetes this would be an informer for a custom resource.
//
// One bad file fails the whole reading. To an operator, "I do not know" and "there shall be none" must be two answers: it
// deletes VMs by the second one.
func readDesired(directory, owner string) (map[string]desiredVM, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	desired := map[string]desiredVM{}
	for _, entry := range entries {
		extension := filepath.Ext(entry.Name())
		if (extension != ".yaml" && extension != ".json") || strings.HasPrefix(entry.Name(), ".") {
			continue // editors and config maps leave such files
		}
		id := strings.TrimSuffix(entry.Name(), extension)
		vm, err := readVM(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		if vm.Name != "" && vm.Name != vmName(id) {
			return nil, fmt.Errorf("%s: is about %q, not about %q", entry.Name(), vm.Name, vmName(id))
		}
		if _, twice := desired[id]; twice {
			return nil, fmt.Errorf("%s: there is another file about this VM", entry.Name())
		}
		if vm.Labels == nil {
			vm.Labels = map[string]string{}
		}
		vm.Labels[ownerLabel] = owner
		desired[id] = desiredVM{vm: vm, digest: digestOf(vm)}
	}
	return desired, nil
}

func readVM(path string) (*kinsock.Vm, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	json, err := yaml.YAMLToJSONStrict(text) // a key that is there twice is an error
	if err != nil {
		return nil, err
	}
	vm := &kinsock.Vm{}
	if err := protojson.Unmarshal(json, vm); err != nil { // so is a key that no VM has
		return nil, err
	}
	// Only these are asked for; the rest is the daemon's to say.
	return &kinsock.Vm{Name: vm.Name, Labels: vm.Labels, Annotations: vm.Annotations, Spec: vm.Spec}, nil
}

func digestOf(vm *kinsock.Vm) string {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(vm)
	if err != nil {
		panic(err) // it was unmarshalled a moment ago
	}
	sum := sha256.Sum256(bytes)
	return hex.EncodeToString(sum[:])
}

func vmName(id string) string { return "vms/" + id }

func vmID(name string) string { return strings.TrimPrefix(name, "vms/") }
