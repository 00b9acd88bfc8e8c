// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_DRIVE_H_
#define KINSOCK_BENCH_DRIVE_H_

#include <functional>
#include <vector>

#include "bench/bench_guest.h"
#include "bench/probe.h"

namespace kinsock::bench {

using Guests = std::vector<BenchGuest*>;

// Drives guests on this thread until `done`, which is asked after each round. Sleeps only when none has anything to
// do, as a vCPU in HLT, until a back-end interrupts one of them; looks up every 20 ms.
void Drive(const Guests& guests, const std::function<bool()>& done);
// The same for a time.
void DriveFor(const Guests& guests, BenchClock::duration duration);

// `count` open connections from `from` to `to`, which listens on `port`. Ends the process if one is refused or
// nothing answers within 20 s.
std::vector<BenchGuest::Connection*> OpenConnections(BenchGuest& from, BenchGuest& to, uint32_t port, uint32_t count);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_DRIVE_H_
