// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>

#include "bench/attack.h"
#include "bench/drive.h"
#include "bench/load.h"
#include "bench/probe.h"
#include "bench/verify.h"

namespace kinsock::bench {

Figures MeasureSiblingThroughput(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest sender(options.sockets[0], options.guest);
  BenchGuest receiver(options.sockets[1], options.guest);
  receiver.Listen(kPort, [](BenchGuest::Connection&) {});
  receiver.Listen(kAttackPort, [](BenchGuest::Connection&) {});
  const Guests both = {&sender, &receiver};
  const std::vector<BenchGuest::Connection*> streams = OpenConnections(sender, receiver, kPort, options.connections);
  for (BenchGuest::Connection* stream : streams) sender.Send(*stream, kEndless, options.write_bytes);
  DriveFor(both, options.duration / kWarmUpPart);
  const uint64_t before = receiver.received();
  Stretch stretch(options.backend);
  DriveFor(both, options.duration);
  stretch.Stop();
  Figures figures = Throughput(receiver.received() - before, stretch);
  if (options.guest.verify) {
    sender.StopSending();
    Append(figures, VerifyGuestStreams(both, sender, receiver, streams));
  }
  return figures;
}

// One byte there and back, each guest on a thread of its own that sleeps while it waits.
Figures MeasureSiblingLatency(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest asker(options.sockets[0], options.guest);
  BenchGuest teller(options.sockets[1], options.guest);
  teller.Listen(kPort, [](BenchGuest::Connection& connection) { connection.echoes = true; });
  teller.Listen(kAttackPort, [](BenchGuest::Connection&) {});
  BenchGuest::Connection& connection = *OpenConnections(asker, teller, kPort, 1)[0];

  std::atomic<bool> stop{false};
  std::thread other([&] { Drive({&teller}, [&] { return stop.load(std::memory_order_relaxed); }); });
  std::vector<double> samples;
  BenchClock::time_point sent = BenchClock::now();
  asker.on_data = [&](BenchGuest::Connection&, uint32_t) {
    const BenchClock::time_point now = BenchClock::now();
    samples.push_back(Seconds(now - sent) * 1e6);
    sent = now;
    asker.Send(connection, 1, 1);
  };
  asker.Send(connection, 1, 1);
  DriveFor({&asker}, options.duration / kWarmUpPart);
  samples.clear();
  Stretch stretch(options.backend);
  DriveFor({&asker}, options.duration);
  stretch.Stop();
  stop = true;
  other.join();
  Figures figures = Latency(samples);
  figures.push_back({"cpu_us_each", stretch.cpu() * 1e6 / static_cast<double>(samples.size())});
  return figures;
}

// Connect, accept, close, confirm; 16 at a time.
Figures MeasureSiblingConnects(const LoadOptions& options) {
  Need(options, 2);
  BenchGuest asker(options.sockets[0], options.guest);
  BenchGuest teller(options.sockets[1], options.guest);
  teller.Listen(kPort, [](BenchGuest::Connection&) {});
  const Guests both = {&asker, &teller};
  uint64_t finished = 0;
  asker.on_change = [&](BenchGuest::Connection& connection) {
    if (connection.state == BenchGuest::Connection::State::kOpen) return asker.Close(connection);
    if (!connection.was_open) Fail("a connection was refused");
    ++finished;
    asker.Connect(teller.cid(), kPort);
  };
  for (int i = 0; i < 16; ++i) asker.Connect(teller.cid(), kPort);
  DriveFor(both, options.duration / kWarmUpPart);
  const uint64_t before = finished;
  Stretch stretch(options.backend);
  DriveFor(both, options.duration);
  stretch.Stop();
  const auto made = static_cast<double>(finished - before);
  return {{"connections_per_s", made / stretch.wall()}, {"cpu_us_each", stretch.cpu() * 1e6 / made}};
}

}  // namespace kinsock::bench
