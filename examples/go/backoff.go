// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// backoff says how long to wait before the next attempt. Without jitter, all operators of a fleet that lost a daemon at the
// same moment would also come back at the same moment.
type backoff struct {
	attempts int
}

// next returns a pause between half and all of 100 ms, 200 ms, 400 ms, ... 5 s.
func (b *backoff) next() time.Duration {
	pause := firstPause << min(b.attempts, 16)
	pause = min(pause, longestPause)
	b.attempts++
	return pause/2 + rand.N(pause/2)
}

// sleep waits, and returns false at once when ctx is over.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
