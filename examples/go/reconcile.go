// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sort"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	kinsock "kinsock.example/operator/kinsock/v1"
)

// callTimeout is long for a daemon that answers in milliseconds, and short for an operator that must not hang.
const callTimeout = 10 * time.Second

// reconciler makes what is observed into what is desired. It is level-triggered: each pass compares all of both and never asks
// what has happened, so that a lost, doubled or late message costs a pass and nothing else.
type reconciler struct {
	client kinsock.VmServiceClient
	// memory of what was done about each VM, by id.
	memory map[string]*memory
}

// memory is what a pass has to know of the passes before it.
type memory struct {
	pause     backoff
	notBefore time.Time
	// The last answer: this VM, in this generation, is as the file with this digest wants it. generation counts changes of
	// spec, labels and annotations, by whomever; a higher one means that somebody has edited it since.
	uid        string
	generation int64
	digest     string
	// The call whose outcome is not known, and its id.
	unanswered string
	requestID  string
}

// pass does what is due, and returns when the next attempt is: zero if nothing waits for another.
func (r *reconciler) pass(ctx context.Context, desired map[string]desiredVM, observed map[string]*kinsock.Vm) time.Time {
	var next time.Time
	for _, id := range idsOf(desired, observed) {
		if ctx.Err() != nil {
			break
		}
		known := r.memory[id]
		if known == nil {
			known = &memory{}
			r.memory[id] = known
		}
		if time.Now().Before(known.notBefore) {
			next = earlier(next, known.notBefore)
			continue
		}
		want, wanted := desired[id]
		have, exists := observed[id]
		var err error
		switch {
		case !wanted && !exists:
			delete(r.memory, id)
		case !wanted:
			err = r.remove(ctx, have, known)
		case !exists:
			err = r.create(ctx, id, want, known)
		case !known.settled(want, have):
			err = r.apply(ctx, id, want, have, known)
		}
		if err != nil {
			wait := known.pause.next()
			known.notBefore = time.Now().Add(wait)
			slog.Warn("not done", "vm", id, "reason", reasonOf(err), "error", err, "again_in", wait)
			next = earlier(next, known.notBefore)
		}
	}
	return next
}

// settled says that nobody has changed the VM since it was made as wanted. An observed generation below the one that our own
// call returned means that the watch has yet to tell of that call.
func (m *memory) settled(want desiredVM, have *kinsock.Vm) bool {
	return m.uid == have.Uid && m.digest == want.digest && have.Generation <= m.generation
}

// create makes a VM. CreateVm and not ApplyVm: when a VM of this name is somebody else's, VM_EXISTS is the right answer, and a
// take-over the wrong one.
func (r *reconciler) create(ctx context.Context, id string, want desiredVM, known *memory) error {
	request := &kinsock.CreateVmRequest{VmId: id, Vm: want.vm, RequestId: known.request("create " + want.digest)}
	vm, err := called(ctx, known, request, r.client.CreateVm)
	if err != nil {
		return err
	}
	known.settle(vm, want)
	// The watch tells of it any moment. Before it has, the VM must not be taken for one that was deleted by hand.
	known.notBefore = time.Now().Add(time.Second)
	slog.Info("created", "vm", id, "cid", vm.Status.Cid, "socket", vm.Status.VhostUserSocket)
	return nil
}

// apply makes a VM as the file wants it. The etag has the call refused (ETAG_MISMATCH) if the VM is not the one that was
// looked at; the watch then brings the newer one, and the next pass looks at that.
func (r *reconciler) apply(ctx context.Context, id string, want desiredVM, have *kinsock.Vm, known *memory) error {
	request := &kinsock.ApplyVmRequest{VmId: id, Vm: want.vm, Etag: have.Etag, RequestId: known.request("apply " + want.digest + have.Etag)}
	vm, err := called(ctx, known, request, r.client.ApplyVm)
	if err != nil {
		// Some fields cannot change while a VM exists (IMMUTABLE_FIELD names them). To delete and make it anew would cut its
		// guest off: that is for a person to decide, who deletes the file first and puts the new one in its place later.
		return err
	}
	known.settle(vm, want)
	if vm.Generation == have.Generation { // the daemon compares better than we could: it knows the defaults
		slog.Info("as wanted", "vm", id, "generation", vm.Generation)
	} else {
		slog.Info("applied", "vm", id, "generation", vm.Generation)
	}
	return nil
}

// remove deletes a VM of ours that is not desired any more. The uid makes sure that it is this one, and not a later one of the
// same name. Without `force` a VM whose VMM runs is refused (VM_ATTACHED): whoever ends the VMM comes first, and this waits.
func (r *reconciler) remove(ctx context.Context, have *kinsock.Vm, known *memory) error {
	if have.Status.State == kinsock.VmStatus_DELETING {
		return nil
	}
	request := &kinsock.DeleteVmRequest{Name: have.Name, Uid: have.Uid, AllowMissing: true, RequestId: known.request("delete " + have.Uid)}
	if _, err := called(ctx, known, request, r.client.DeleteVm); err != nil {
		return err
	}
	known.notBefore = time.Now().Add(time.Second) // as above
	slog.Info("deleted", "vm", vmID(have.Name))
	return nil
}

func (m *memory) settle(vm *kinsock.Vm, want desiredVM) {
	m.uid, m.generation, m.digest = vm.Uid, vm.Generation, want.digest
}

// request returns the id for a call: a new one for each new intention, and the same one as long as the outcome of the same call
// is not known. The daemon then gives the first call's result instead of doing it twice, also across its own restart. An id
// computed from the wish alone would be wrong: a VM that was deleted by hand has to be made a second time.
func (m *memory) request(call string) string {
	if m.unanswered != call {
		m.unanswered, m.requestID = call, rand.Text()
	}
	return m.requestID
}

// called calls a method, and remembers whether it was answered.
func called[Request any](ctx context.Context, known *memory, request *Request,
	method func(context.Context, *Request, ...callOption) (*kinsock.Vm, error)) (*kinsock.Vm, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	vm, err := method(ctx, request)
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.Internal:
		// It has happened or not. Ask again with the same id.
	default:
		known.unanswered = ""
	}
	if err != nil {
		return nil, fmt.Errorf("%w", err)
	}
	known.pause = backoff{}
	return vm, nil
}

// idsOf returns all ids, in order, so that logs of two runs can be compared.
func idsOf(desired map[string]desiredVM, observed map[string]*kinsock.Vm) []string {
	ids := make([]string, 0, len(desired))
	for id := range desired {
		ids = append(ids, id)
	}
	for id := range observed {
		if _, wanted := desired[id]; !wanted {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
