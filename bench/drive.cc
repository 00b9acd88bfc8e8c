// SPDX-License-Identifier: Apache-2.0
#include "bench/drive.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <utility>

#include "bench/load.h"

namespace kinsock::bench {

void Drive(const Guests& guests, const std::function<bool()>& done) {
  std::vector<pollfd> awaited;
  for (const BenchGuest* guest : guests) guest->AppendAwaited(awaited);
  while (!done()) {
    bool any = false;
    for (BenchGuest* guest : guests) any |= guest->Poll();
    if (any) continue;
    bool sleepy = true;
    for (BenchGuest* guest : guests) sleepy &= guest->Sleepy();
    if (!sleepy) continue;
    constexpr int kLookAtTheClockMs = 20;
    if (poll(awaited.data(), awaited.size(), kLookAtTheClockMs) <= 0) continue;
    for (const pollfd& fd : awaited) {
      eventfd_t count;
      if (fd.revents != 0) eventfd_read(fd.fd, &count);
    }
  }
}

void DriveFor(const Guests& guests, BenchClock::duration duration) {
  const BenchClock::time_point end = BenchClock::now() + duration;
  Drive(guests, [end] { return BenchClock::now() >= end; });
}

std::vector<BenchGuest::Connection*> OpenConnections(BenchGuest& from, BenchGuest& to, uint32_t port, uint32_t count) {
  using State = BenchGuest::Connection::State;
  uint32_t open = 0;
  auto former = std::exchange(from.on_change, [&open](BenchGuest::Connection& connection) {
    if (connection.state != State::kOpen) Fail("a connection was refused");
    ++open;
  });
  std::vector<BenchGuest::Connection*> opened;
  for (uint32_t i = 0; i < count; ++i) opened.push_back(&from.Connect(to.cid(), port));
  const BenchClock::time_point deadline = BenchClock::now() + std::chrono::seconds(20);
  Drive({&from, &to}, [&] {
    if (BenchClock::now() > deadline) Fail("connections were not accepted within 20 s");
    return open == count;
  });
  from.on_change = std::move(former);
  return opened;
}

}  // namespace kinsock::bench
