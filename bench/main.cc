// SPDX-License-Identifier: Apache-2.0
//
// Drives one measurement against a running vhost-user vsock back-end and prints what it found. compare.py runs them
// all, against several back-ends in turn.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "bench/attack.h"
#include "bench/load.h"

namespace kinsock::bench {
namespace {

struct Measurement {
  const char* name;
  const char* help;
  Figures (*run)(const LoadOptions&);
};

constexpr Measurement kMeasurements[] = {
    {"sibling", "throughput from the first guest to the second", MeasureSiblingThroughput},
    {"sibling-latency", "round trips between the first guest and the second", MeasureSiblingLatency},
    {"sibling-connects", "connections of the first guest to the second, made and closed per second",
     MeasureSiblingConnects},
    {"host-to-guest", "throughput from a host program to the first guest", MeasureHostToGuest},
    {"guest-to-host", "throughput from the first guest to a host program", MeasureGuestToHost},
    {"host-latency", "round trips from a host program to the first guest", MeasureHostLatency},
    {"guest-latency", "round trips from the first guest to a host program", MeasureGuestLatency},
    {"host-connects", "connections of host programs to the first guest per second", MeasureHostConnects},
    {"guest-connects", "connections of the first guest to host programs per second", MeasureGuestConnects},
    {"fairness", "first to third guest, alone and while the first also sends to the second on 8 flows",
     MeasureFairness},
    {"stalled", "the same, and the second posts no buffers", MeasureStalledSibling},
    {"flooded", "the same, and the second also promises 4 GiB of room", MeasureFloodedSibling},
    {"two-senders", "first and second guest to the third: the share of each", MeasureTwoSenders},
    {"idle", "all guests attached and silent", MeasureIdle},
    {"pairs", "--pairs pairs of guests talk, all others are silent", MeasurePairs},
    {"quiet", "many connections that say nothing", MeasureQuietConnections},
    {"attack", "the first guest attacks until SIGTERM", MeasureAttack},
    {"burn", "uses CPU until SIGTERM, as an attacker would", MeasureBurn},
    {"memcpy", "limit: the copies of a sibling stream", MeasureMemcpy},
    {"unix", "limit: a stream between two programs", MeasureUnixStream},
    {"eventfd", "limit: a notification there and back", MeasureEventfd},
};

void PrintTable(const Figures& figures) {
  for (const Figure& figure : figures) std::printf("%-24s %12.6g\n", figure.name.c_str(), figure.value);
}

void PrintJson(const Figures& figures) {
  const char* separator = "{";
  for (const Figure& figure : figures) {
    if (!std::isfinite(figure.value)) continue;  // JSON has no word for it: no such figure
    std::printf("%s\"%s\": %.9g", separator, figure.name.c_str(), figure.value);
    separator = ", ";
  }
  std::printf("}\n");
}

int Main(int argc, char** argv) {
  CLI::App app("Measures a vhost-user vsock back-end with simulated guests.", "vsock_load");
  app.require_subcommand(1);
  LoadOptions options;
  int64_t milliseconds = options.duration.count();
  bool json = false;
  app.add_option("--socket", options.sockets, "vhost-user socket of a guest; repeat for more guests");
  app.add_option("--uds-path", options.uds_path, "hybrid socket of the first guest");
  app.add_option("--backend", options.backend, "process whose CPU time and memory are reported");
  app.add_option("--write", options.write_bytes, "bytes of one write (65536)")->check(CLI::Range(1, 65536));
  app.add_option("--connections", options.connections, "connections (1)")->check(CLI::Range(1, 1000000));
  app.add_option("--pairs", options.pairs, "pairs of guests that talk (1)")->check(CLI::Range(1, 10000));
  app.add_option("--attack", options.attack, "one of " + AttackNames());
  app.add_option("--victim", options.victim, "CID of the guest that is attacked (4)");
  app.add_option("--percent", options.percent, "of a CPU to burn (100)")->check(CLI::Range(0.0, 100.0));
  app.add_option("--milliseconds", milliseconds, "time that is measured, after a quarter of it to warm up (1000)")
      ->check(CLI::Range(10, 600000));
  app.add_option("--ring", options.guest.ring_entries, "entries of each ring, a power of two (128)")
      ->check(CLI::Range(2, 32768));
  app.add_option("--rx-buffer", options.guest.rx_buffer_bytes, "bytes of a receive buffer, header included (3776)")
      ->check(CLI::Range(45, 65536 + 44));
  app.add_option("--window", options.guest.window, "bytes that a connection may hold unread (262144)");
  app.add_flag("--verify", options.guest.verify, "send a pattern, check every byte, and report wrong streams");
  app.add_flag("--mixed-writes", options.guest.mixed_writes, "guests write 1 to --write bytes, changing all the time");
  app.add_flag("--json", json, "print one line of JSON instead of a table");
  std::vector<std::pair<CLI::App*, const Measurement*>> commands;
  for (const Measurement& measurement : kMeasurements) {
    commands.emplace_back(app.add_subcommand(measurement.name, measurement.help), &measurement);
    commands.back().first->fallthrough();
  }
  CLI11_PARSE(app, argc, argv);
  if ((options.guest.ring_entries & (options.guest.ring_entries - 1)) != 0) Fail("--ring is not a power of two");
  options.duration = std::chrono::milliseconds(milliseconds);
  for (const auto& [command, measurement] : commands) {
    if (!command->parsed()) continue;
    const Figures figures = measurement->run(options);
    json ? PrintJson(figures) : PrintTable(figures);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kinsock::bench

int main(int argc, char** argv) { return kinsock::bench::Main(argc, argv); }
