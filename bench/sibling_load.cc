// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "bench/load.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

constexpr uint32_t kPort = 5000;
constexpr uint64_t kEndless = uint64_t{1} << 60;
constexpr double kGbit = 8e-9;

void Need(const LoadOptions& options, size_t guests) {
  if (options.sockets.size() >= guests) return;
  std::fprintf(stderr, "this measurement needs %zu --socket\n", guests);
  std::exit(2);
}

using Open = BenchGuest::Connection::State;

// `count` open connections from `from` to `to`.
std::vector<BenchGuest::Connection*> OpenConnections(BenchGuest& from, BenchGuest& to, uint32_t count) {
  std::vector<BenchGuest::Connection*> opened;
  for (uint32_t i = 0; i < count; ++i) opened.push_back(&from.Connect(to.cid(), kPort));
  const BenchClock::time_point deadline = BenchClock::now() + std::chrono::seconds(20);
  Drive({&from, &to}, [&] {
    if (BenchClock::now() > deadline) {
      std::fprintf(stderr, "connections were not accepted within 20 s\n");
      std::exit(1);
    }
    for (const BenchGuest::Connection* connection : opened) {
      if (connection->state == Open::kReset) {
        std::fprintf(stderr, "a connection was reset\n");
        std::exit(1);
      }
      if (connection->state != Open::kOpen) return false;
    }
    return true;
  });
  return opened;
}

void CheckVerified(const LoadOptions& options, const BenchGuest& guest) {
  if (!options.guest.verify || guest.mismatches() == 0) return;
  std::fprintf(stderr, "%llu bytes arrived wrong\n", static_cast<unsigned long long>(guest.mismatches()));
  std::exit(1);
}

// Gbit/s that `to` receives over the measured time.
Figures Receive(const LoadOptions& options, const std::vector<BenchGuest*>& guests, const BenchGuest& to) {
  DriveFor(guests, options.duration / 4);  // warm-up
  const uint64_t before = to.received();
  const Stretch stretch(options.backend);
  DriveFor(guests, options.duration);
  const double wall = stretch.wall();
  const double cpu = stretch.cpu();
  const double gbit = static_cast<double>(to.received() - before) * kGbit;
  Figures figures = {{"gbit_per_s", gbit / wall}};
  if (cpu > 0) {
    figures.push_back({"gbit_per_cpu_s", gbit / cpu});
    figures.push_back({"cpu_s_per_gb", cpu / (gbit / 8)});
  }
  return figures;
}

}  // namespace

Figures MeasureSiblingThroughput(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest sender(options.sockets[0], options.guest);
  BenchGuest receiver(options.sockets[1], options.guest);
  receiver.on_accept = [](BenchGuest::Connection&) {};
  for (BenchGuest::Connection* connection : OpenConnections(sender, receiver, options.connections)) {
    sender.Send(*connection, kEndless, options.write_bytes);
  }
  Figures figures = Receive(options, {&sender, &receiver}, receiver);
  CheckVerified(options, receiver);
  return figures;
}

// One byte there and back, each guest on a thread of its own that sleeps while it waits.
Figures MeasureSiblingLatency(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest asker(options.sockets[0], options.guest);
  BenchGuest teller(options.sockets[1], options.guest);
  teller.on_accept = [](BenchGuest::Connection& connection) { connection.echoes = true; };
  BenchGuest::Connection& connection = *OpenConnections(asker, teller, 1)[0];

  std::atomic<bool> stop{false};
  std::thread other([&] { Drive({&teller}, [&] { return stop.load(); }); });
  std::vector<double> samples;
  BenchClock::time_point sent = BenchClock::now();
  asker.on_data = [&](BenchGuest::Connection&, uint32_t) {
    const BenchClock::time_point now = BenchClock::now();
    samples.push_back(Seconds(now - sent) * 1e6);
    sent = now;
    asker.Send(connection, 1, 1);
  };
  asker.Send(connection, 1, 1);
  DriveFor({&asker}, options.duration);
  stop = true;
  other.join();
  return {{"p50_us", Quantile(samples, 0.5)},
          {"p99_us", Quantile(samples, 0.99)},
          {"p999_us", Quantile(samples, 0.999)},
          {"round_trips", static_cast<double>(samples.size())}};
}

// Connect, accept, close, confirm; 16 at a time.
Figures MeasureSiblingConnects(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest asker(options.sockets[0], options.guest);
  BenchGuest teller(options.sockets[1], options.guest);
  teller.on_accept = [](BenchGuest::Connection&) {};
  uint64_t finished = 0;
  asker.on_change = [&](BenchGuest::Connection& connection) {
    if (connection.state == Open::kOpen) return asker.Close(connection);
    ++finished;
    asker.Connect(teller.cid(), kPort);
  };
  for (int i = 0; i < 16; ++i) asker.Connect(teller.cid(), kPort);
  DriveFor({&asker, &teller}, options.duration / 4);
  const uint64_t before = finished;
  const Stretch stretch(options.backend);
  DriveFor({&asker, &teller}, options.duration);
  return {{"connections_per_s", static_cast<double>(finished - before) / stretch.wall()}};
}

// What A gets through to C on one flow while eight flows from A to B are live.
Figures MeasureFairness(const LoadOptions& options) {
  Need(options, 3);
  BenchGuest a(options.sockets[0], options.guest);
  BenchGuest b(options.sockets[1], options.guest);
  BenchGuest c(options.sockets[2], options.guest);
  b.on_accept = c.on_accept = [](BenchGuest::Connection&) {};
  const std::vector<BenchGuest*> all = {&a, &b, &c};
  a.Send(*OpenConnections(a, c, 1)[0], kEndless, options.write_bytes);
  const double alone = Receive(options, all, c)[0].value;
  for (BenchGuest::Connection* flow : OpenConnections(a, b, 8)) a.Send(*flow, kEndless, options.write_bytes);
  const double shared = Receive(options, all, c)[0].value;
  return {{"alone_gbit_per_s", alone}, {"shared_gbit_per_s", shared}, {"share_percent", 100 * shared / alone}};
}

// The same while B posts no buffers.
Figures MeasureStalledSibling(const LoadOptions& options) {
  Need(options, 3);
  BenchGuest a(options.sockets[0], options.guest);
  BenchGuest b(options.sockets[1], options.guest);
  BenchGuest c(options.sockets[2], options.guest);
  b.on_accept = c.on_accept = [](BenchGuest::Connection&) {};
  const std::vector<BenchGuest*> all = {&a, &b, &c};
  a.Send(*OpenConnections(a, c, 1)[0], kEndless, options.write_bytes);
  const double alone = Receive(options, all, c)[0].value;
  const std::vector<BenchGuest::Connection*> flows = OpenConnections(a, b, 8);
  b.set_posts_buffers(false);
  for (BenchGuest::Connection* flow : flows) a.Send(*flow, kEndless, options.write_bytes);
  const double shared = Receive(options, all, c)[0].value;
  return {{"alone_gbit_per_s", alone},
          {"stalled_gbit_per_s", shared},
          {"share_percent", 100 * shared / alone},
          {"own_mib", static_cast<double>(OwnMemoryBytes(options.backend)) / (1 << 20)}};
}

// Many connections that say nothing.
Figures MeasureQuietConnections(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest asker(options.sockets[0], options.guest);
  BenchGuest teller(options.sockets[1], options.guest);
  teller.on_accept = [](BenchGuest::Connection&) {};
  OpenConnections(asker, teller, 64);
  const auto memory = static_cast<double>(OwnMemoryBytes(options.backend));
  const Stretch opening(options.backend);
  OpenConnections(asker, teller, options.connections);
  const double seconds = opening.wall();
  const double grown = static_cast<double>(OwnMemoryBytes(options.backend)) - memory;
  const Stretch quiet(options.backend);
  DriveFor({&asker, &teller}, options.duration);
  return {{"connections_per_s", options.connections / seconds},
          {"bytes_each", grown / options.connections},
          {"idle_cpu_percent", 100 * quiet.cpu() / quiet.wall()}};
}

// All guests attached and nobody says anything.
Figures MeasureIdle(const LoadOptions& options) {
  const auto memory = static_cast<double>(OwnMemoryBytes(options.backend));
  const Stretch attaching(options.backend);
  std::vector<std::unique_ptr<BenchGuest>> guests;
  for (const std::string& socket : options.sockets) {
    guests.push_back(std::make_unique<BenchGuest>(socket, options.guest));
  }
  const double each = attaching.wall() / static_cast<double>(guests.size());
  const Stretch quiet(options.backend);
  std::vector<BenchGuest*> all;
  for (const auto& guest : guests) all.push_back(guest.get());
  DriveFor(all, options.duration);
  const auto count = static_cast<double>(guests.size());
  return {{"attach_ms", each * 1e3},
          {"own_mib", static_cast<double>(OwnMemoryBytes(options.backend)) / (1 << 20)},
          {"own_kib_each", (static_cast<double>(OwnMemoryBytes(options.backend)) - memory) / 1024 / count},
          {"threads", static_cast<double>(Threads(options.backend))},
          {"descriptors", static_cast<double>(Descriptors(options.backend))},
          {"idle_cpu_percent", 100 * quiet.cpu() / quiet.wall()}};
}

}  // namespace kinsock::bench
