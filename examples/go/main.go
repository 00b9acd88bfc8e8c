// SPDX-License-Identifier: Apache-2.0

// An operator for kinsock: it sees to it that the daemon has the VMs that a directory asks for, and no others of its own.
//
// Three parts, each in a file of its own:
//
//	desired.go    what there shall be
//	observe.go    what there is: list, then watch from there
//	reconcile.go  what to do about the difference
//
// It needs the role "operator" on the daemon.
package main

import (
	"context"
	"flag"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	kinsock "kinsock.example/operator/kinsock/v1"
)

type callOption = grpc.CallOption

func main() {
	endpoint := flag.String("endpoint", "unix:/run/kinsock/api.sock", "the daemon's API")
	directory := flag.String("desired", "", "directory with a file for each VM")
	owner := flag.String("owner", "example", "whose VMs: the value of the label "+ownerLabel)
	interval := flag.Duration("interval", 5*time.Second, "how often to read the directory")
	flag.Parse()
	if *directory == "" || flag.NArg() != 0 || *interval <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	// The kernel tells the daemon who we are: a UNIX socket needs no other credentials.
	connection, err := grpc.NewClient(*endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: longestPause,
		}))
	if err != nil {
		slog.Error("bad endpoint", "endpoint", *endpoint, "error", err)
		os.Exit(2)
	}
	defer connection.Close()

	// A SIGTERM ends the watch, and a call that is under way. That is safe at any moment: nothing is kept here that the next
	// start does not learn from the directory and from the daemon.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	run(ctx, kinsock.NewVmServiceClient(connection), *directory, *owner, *interval)
	slog.Info("ended")
}

// run reconciles until ctx is over.
func run(ctx context.Context, client kinsock.VmServiceClient, directory, owner string, interval time.Duration) {
	// Many changes while a pass runs are one reason for another pass.
	dirty := make(chan struct{}, 1)
	mark := func() {
		select {
		case dirty <- struct{}{}:
		default:
		}
	}
	seen := &observed{client: client, filter: "labels." + ownerLabel + " = " + owner, changed: mark}
	var following sync.WaitGroup
	following.Add(1)
	go func() {
		defer following.Done()
		seen.follow(ctx)
	}()
	defer following.Wait()

	actor := &reconciler{client: client, memory: map[string]*memory{}}
	reading := time.NewTicker(interval)
	defer reading.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	desired, known := readOrKeep(directory, owner, nil)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-reading.C:
			var read bool
			desired, read = readOrKeep(directory, owner, desired)
			known = known || read
		case <-dirty:
		case <-retry.C:
		}
		// Both sides have to be known once before anything is done: an operator that has not listed yet would make what is
		// there already, and one that has not read its directory would delete everything.
		observed, listed := seen.snapshot()
		if !listed || !known {
			continue
		}
		if next := actor.pass(ctx, desired, observed); !next.IsZero() {
			retry.Reset(time.Until(next))
		}
	}
}

// readOrKeep reads the directory. When that fails, what was read last stays in force.
func readOrKeep(directory, owner string, last map[string]desiredVM) (map[string]desiredVM, bool) {
	desired, err := readDesired(directory, owner)
	if err != nil {
		slog.Error("desired VMs not read", "directory", directory, "error", err)
		return last, false
	}
	if last == nil || !slices.Equal(slices.Sorted(maps.Keys(last)), slices.Sorted(maps.Keys(desired))) {
		slog.Info("desired", "vms", len(desired))
	}
	return desired, true
}
