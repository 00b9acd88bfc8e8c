// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	kinsock "kinsock.example/operator/kinsock/v1"
)

// observed is what the daemon is known to have: a list, kept up to date by a watch that goes on where the list was made.
// client-go calls the same a reflector and its store.
type observed struct {
	client kinsock.VmServiceClient
	// filter leaves the VMs of others on the daemon's side.
	filter string
	// changed is called after every change, from the goroutine that follows. It must not block.
	changed func()

	mutex sync.Mutex
	vms   map[string]*kinsock.Vm // by id; nil until the first list
}

// snapshot returns the VMs by id, or false when nothing is known yet: not to be confused with "there are none".
func (o *observed) snapshot() (map[string]*kinsock.Vm, bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	copied := make(map[string]*kinsock.Vm, len(o.vms))
	for id, vm := range o.vms {
		copied[id] = vm
	}
	return copied, o.vms != nil
}

// follow lists and watches until ctx is over. A connection may break at any moment and for any reason; what was received
// last says where to go on.
func (o *observed) follow(ctx context.Context) {
	var pause backoff
	version := "" // "": nothing to go on from; list
	for ctx.Err() == nil {
		var err error
		if version == "" {
			version, err = o.list(ctx)
		} else {
			version, err = o.watch(ctx, version, &pause)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if reasonOf(err) == "RESOURCE_VERSION_EXPIRED" {
			// The daemon does not know any more what happened since `version`: it was restarted, or we were away for too
			// long. It never goes on silently with a hole in the story. VMs may have gone without a DELETED, so the only
			// cure is a new list.
			slog.Warn("gap", "version", version, "error", err)
			version = ""
			continue
		}
		wait := pause.next()
		slog.Warn("disconnected", "version", version, "error", err, "again_in", wait)
		sleep(ctx, wait)
	}
}

// list replaces all that is known, and returns the version from which a watch misses nothing that these pages did not show.
func (o *observed) list(ctx context.Context) (string, error) {
	vms := map[string]*kinsock.Vm{}
	version := ""
	for token := ""; ; {
		page, err := o.client.ListVms(ctx, &kinsock.ListVmsRequest{PageSize: 1000, PageToken: token, Filter: o.filter})
		if err != nil {
			return "", err
		}
		if version == "" {
			version = page.ResourceVersion // of the first page: later pages may be newer, and seeing a change twice is harmless
		}
		for _, vm := range page.Vms {
			vms[vmID(vm.Name)] = vm
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	o.mutex.Lock()
	o.vms = vms
	o.mutex.Unlock()
	slog.Info("listed", "vms", len(vms), "version", version)
	o.changed()
	return version, nil
}

// watch takes changes over until the stream ends, which it does with an error, and returns the version of the last one.
func (o *observed) watch(ctx context.Context, version string, pause *backoff) (string, error) {
	stream, err := o.client.WatchVms(ctx, &kinsock.WatchRequest{Filter: o.filter, ResourceVersion: version})
	if err != nil {
		return version, err
	}
	slog.Info("watching", "from", version)
	for {
		message, err := stream.Recv()
		if err != nil {
			return version, err
		}
		*pause = backoff{} // it works again
		version = message.ResourceVersion
		o.take(message)
	}
}

func (o *observed) take(message *kinsock.WatchVmsResponse) {
	if message.Vm == nil {
		return // BOOKMARK: nothing but a newer version
	}
	o.mutex.Lock()
	if message.Type == kinsock.WatchVmsResponse_DELETED {
		delete(o.vms, vmID(message.Vm.Name))
	} else {
		o.vms[vmID(message.Vm.Name)] = message.Vm
	}
	o.mutex.Unlock()
	o.changed()
}

// reasonOf returns the reason in an error's google.rpc.ErrorInfo: the part of it that is made for programs and keeps its
// spelling. Messages are for people and may change.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "kinsock" {
			return info.Reason
		}
	}
	return ""
}
