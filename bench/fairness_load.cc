// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bench/drive.h"
#include "bench/load.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

constexpr uint32_t kFlowsBeside = 8;

void Ignore(BenchGuest::Connection&) {}

// Gbit/s that `to` receives over the measured time, after a warm-up.
double Received(const LoadOptions& options, const Guests& guests, const BenchGuest& to) {
  DriveFor(guests, options.duration / kWarmUpPart);
  const uint64_t before = to.received();
  const BenchClock::time_point begin = BenchClock::now();
  DriveFor(guests, options.duration);
  return static_cast<double>(to.received() - before) * kGbit / Seconds(BenchClock::now() - begin);
}

// What A gets through to C on one flow: alone, and while it sends to B on eight more, too.
Figures Beside(const LoadOptions& options, BenchGuestOptions b_options, bool b_posts_buffers) {
  Need(options, 3);
  BenchGuest a(options.sockets[0], options.guest);
  BenchGuest b(options.sockets[1], b_options);
  BenchGuest c(options.sockets[2], options.guest);
  b.Listen(kPort, Ignore);
  c.Listen(kPort, Ignore);
  const Guests all = {&a, &b, &c};
  a.Send(*OpenConnections(a, c, kPort, 1)[0], kEndless, options.write_bytes);
  const double alone = Received(options, all, c);
  const uint64_t memory = OwnMemoryBytes(options.backend);
  const std::vector<BenchGuest::Connection*> flows = OpenConnections(a, b, kPort, kFlowsBeside);
  b.set_posts_buffers(b_posts_buffers);
  for (BenchGuest::Connection* flow : flows) a.Send(*flow, kEndless, options.write_bytes);
  const uint64_t before = b.received();
  const BenchClock::time_point begin = BenchClock::now();
  const double shared = Received(options, all, c);
  const double beside = static_cast<double>(b.received() - before) * kGbit / Seconds(BenchClock::now() - begin);
  const auto grown = static_cast<double>(OwnMemoryBytes(options.backend)) - static_cast<double>(memory);
  return {{"alone_gbit_per_s", alone},
          {"shared_gbit_per_s", shared},
          {"beside_gbit_per_s", beside},
          {"share_percent", alone > 0 ? 100 * shared / alone : 0},
          {"grown_mib", grown / (1 << 20)}};
}

}  // namespace

Figures MeasureFairness(const LoadOptions& options) { return Beside(options, options.guest, true); }

// B posts no buffers.
Figures MeasureStalledSibling(const LoadOptions& options) { return Beside(options, options.guest, false); }

// B promises all the room there can be and posts no buffers: only the back-end keeps A from sending 4 GiB a flow.
Figures MeasureFloodedSibling(const LoadOptions& options) {
  BenchGuestOptions boundless = options.guest;
  boundless.window = 0xffff'ffff;
  return Beside(options, boundless, false);
}

// A and B send to C as fast as they can. A fair back-end gives each a half.
Figures MeasureTwoSenders(const LoadOptions& options) {
  Need(options, 3);
  BenchGuest a(options.sockets[0], options.guest);
  BenchGuest b(options.sockets[1], options.guest);
  BenchGuest c(options.sockets[2], options.guest);
  uint64_t from_a = 0;
  uint64_t from_b = 0;
  c.Listen(kPort, Ignore);
  c.on_data = [&](BenchGuest::Connection& connection, uint32_t bytes) {
    (connection.peer_cid == a.cid() ? from_a : from_b) += bytes;
  };
  const Guests all = {&a, &b, &c};
  for (BenchGuest* sender : {&a, &b}) {
    for (BenchGuest::Connection* flow : OpenConnections(*sender, c, kPort, options.connections)) {
      sender->Send(*flow, kEndless, options.write_bytes);
    }
  }
  DriveFor(all, options.duration / kWarmUpPart);
  from_a = from_b = 0;
  Stretch stretch(options.backend);
  DriveFor(all, options.duration);
  stretch.Stop();
  Figures figures = Throughput(from_a + from_b, stretch);
  const double both = static_cast<double>(from_a + from_b);
  figures.push_back(
      {"smaller_share_percent", both > 0 ? 100 * static_cast<double>(std::min(from_a, from_b)) / both : 0});
  return figures;
}

}  // namespace kinsock::bench
