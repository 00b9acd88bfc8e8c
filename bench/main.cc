// SPDX-License-Identifier: Apache-2.0
//
// Drives one measurement against a running vhost-user vsock back-end and prints what it found, a figure a line.
// compare.py runs them all, against several back-ends in turn.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

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
    {"sibling-connects", "connections made and closed per second", MeasureSiblingConnects},
    {"fairness", "first to third guest while the first also sends to the second on 8 flows", MeasureFairness},
    {"stalled", "the same while the second posts no buffers", MeasureStalledSibling},
    {"quiet", "many connections that say nothing", MeasureQuietConnections},
    {"host-to-guest", "throughput from a host program to the first guest", MeasureHostToGuest},
    {"guest-to-host", "throughput from the first guest to a host program", MeasureGuestToHost},
    {"host-latency", "round trips between a host program and the first guest", MeasureHostLatency},
    {"host-connects", "connections of host programs per second", MeasureHostConnects},
    {"idle", "all guests attached and silent", MeasureIdle},
    {"memcpy", "limit: the copies of a sibling stream", MeasureMemcpy},
    {"unix", "limit: a stream between two programs", MeasureUnixStream},
    {"eventfd", "limit: a notification there and back", MeasureEventfd},
};

int Main(int argc, char** argv) {
  CLI::App app("Measures a vhost-user vsock back-end with simulated guests.", "vsock_load");
  app.require_subcommand(1);
  LoadOptions options;
  int64_t milliseconds = options.duration.count();
  app.add_option("--socket", options.sockets, "vhost-user socket of a guest; repeat for more guests");
  app.add_option("--uds-path", options.uds_path, "hybrid socket of the first guest");
  app.add_option("--backend", options.backend, "process whose CPU time and memory are reported");
  app.add_option("--write", options.write_bytes, "bytes of one write")->check(CLI::Range(1, 65536));
  app.add_option("--connections", options.connections, "connections")->check(CLI::Range(1, 1000000));
  app.add_option("--milliseconds", milliseconds, "time that is measured")->check(CLI::Range(10, 600000));
  app.add_option("--ring", options.guest.ring_entries, "entries of each ring")->check(CLI::Range(2, 32768));
  app.add_option("--rx-buffer", options.guest.rx_buffer_bytes, "bytes of a receive buffer, header included")
      ->check(CLI::Range(45, 65536 + 44));
  app.add_option("--window", options.guest.window, "bytes that a connection may hold unread");
  app.add_flag("--verify", options.guest.verify, "send a pattern and check every byte");
  std::vector<std::pair<CLI::App*, const Measurement*>> commands;
  for (const Measurement& measurement : kMeasurements) {
    commands.emplace_back(app.add_subcommand(measurement.name, measurement.help), &measurement);
    commands.back().first->fallthrough();
  }
  CLI11_PARSE(app, argc, argv);
  options.duration = std::chrono::milliseconds(milliseconds);
  for (const auto& [command, measurement] : commands) {
    if (!command->parsed()) continue;
    for (const Figure& figure : measurement->run(options)) {
      std::printf("%s %.6g\n", figure.name.c_str(), figure.value);
    }
  }
  std::fflush(stdout);
  _exit(0);  // a measured program may still be writing
}

}  // namespace
}  // namespace kinsock::bench

int main(int argc, char** argv) { return kinsock::bench::Main(argc, argv); }
