// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "bench/drive.h"
#include "bench/load.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

// Descriptors of one simulated guest (memory, sockets, eventfds), with some to spare.
constexpr rlim_t kDescriptorsPerGuest = 16;

double Mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::vector<std::unique_ptr<BenchGuest>> AttachAll(const LoadOptions& options) {
  Need(options, 1);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const rlim_t needed = options.sockets.size() * kDescriptorsPerGuest + 100;
  if (files.rlim_max < needed) {
    Fail(absl::StrCat(options.sockets.size(), " guests need ", needed, " descriptors, this process may have ",
                      files.rlim_max, ": raise the hard limit (ulimit -Hn)"));
  }
  std::vector<std::unique_ptr<BenchGuest>> guests;
  for (const std::string& socket : options.sockets)
    guests.push_back(std::make_unique<BenchGuest>(socket, options.guest));
  return guests;
}

Guests Borrow(const std::vector<std::unique_ptr<BenchGuest>>& guests) {
  Guests all;
  for (const auto& guest : guests) all.push_back(guest.get());
  return all;
}

}  // namespace

// All guests attached and nobody says anything.
Figures MeasureIdle(const LoadOptions& options) {
  const std::vector<std::unique_ptr<BenchGuest>> guests = AttachAll(options);
  std::vector<double> attach_ms;
  double sum = 0;
  for (const auto& guest : guests) {
    attach_ms.push_back(Seconds(guest->attach_time()) * 1e3);
    sum += attach_ms.back();
  }
  DriveFor(Borrow(guests), options.duration / kWarmUpPart);
  Stretch quiet(options.backend);
  DriveFor(Borrow(guests), options.duration);
  quiet.Stop();
  return {{"attach_ms", sum / static_cast<double>(guests.size())},
          {"attach_p99_ms", Quantile(attach_ms, 0.99)},
          {"own_kib", static_cast<double>(OwnMemoryBytes(options.backend)) / 1024},
          {"threads", static_cast<double>(Threads(options.backend))},
          {"descriptors", static_cast<double>(Descriptors(options.backend))},
          {"idle_cpu_percent", 100 * quiet.cpu() / quiet.wall()}};
}

// The first guests talk in pairs, one stream each; all others are attached and silent.
Figures MeasurePairs(const LoadOptions& options) {
  Need(options, size_t{2} * options.pairs);
  const std::vector<std::unique_ptr<BenchGuest>> guests = AttachAll(options);
  Guests active;
  std::vector<uint64_t> before;
  for (uint32_t pair = 0; pair < options.pairs; ++pair) {
    BenchGuest& from = *guests[2 * pair];
    BenchGuest& to = *guests[2 * pair + 1];
    to.Listen(kPort, [](BenchGuest::Connection&) {});
    from.Send(*OpenConnections(from, to, kPort, 1)[0], kEndless, options.write_bytes);
    active.push_back(&from);
    active.push_back(&to);
  }
  DriveFor(active, options.duration / kWarmUpPart);
  for (uint32_t pair = 0; pair < options.pairs; ++pair) before.push_back(guests[2 * pair + 1]->received());
  Stretch stretch(options.backend);
  DriveFor(active, options.duration);
  stretch.Stop();
  uint64_t sum = 0;
  uint64_t least = ~uint64_t{0};
  for (uint32_t pair = 0; pair < options.pairs; ++pair) {
    const uint64_t received = guests[2 * pair + 1]->received() - before[pair];
    sum += received;
    least = std::min(least, received);
  }
  Figures figures = Throughput(sum, stretch);
  // 100: the slowest pair got as much as the average one.
  figures.push_back({"slowest_percent_of_mean",
                     sum > 0 ? 100 * static_cast<double>(least) * options.pairs / static_cast<double>(sum) : 0});
  return figures;
}

// Many connections that say nothing.
Figures MeasureQuietConnections(const LoadOptions& options) {
  Need(options, 2);
  constexpr uint32_t kBefore = 64;  // so that what the first connections bring along is not counted
  BenchGuest asker(options.sockets[0], options.guest);
  BenchGuest teller(options.sockets[1], options.guest);
  teller.Listen(kPort, [](BenchGuest::Connection&) {});
  OpenConnections(asker, teller, kPort, kBefore);
  const auto memory = static_cast<double>(OwnMemoryBytes(options.backend));
  Stretch opening(options.backend);
  OpenConnections(asker, teller, kPort, options.connections);
  opening.Stop();
  const auto own = static_cast<double>(OwnMemoryBytes(options.backend));
  Stretch quiet(options.backend);
  DriveFor({&asker, &teller}, options.duration);
  quiet.Stop();
  return {{"connections_per_s", options.connections / opening.wall()},
          {"kib_each", (own - memory) / 1024 / options.connections},
          {"own_mib", Mib(static_cast<uint64_t>(own))},
          {"idle_cpu_percent", 100 * quiet.cpu() / quiet.wall()}};
}

}  // namespace kinsock::bench
