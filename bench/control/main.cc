// SPDX-License-Identifier: Apache-2.0
//
// One measurement of kinsockd's control plane, printed as a line of JSON; `run` makes them all. It starts a kinsockd of
// its own, "server/kinsockd" below the working directory.

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "bench/control/measure.h"

namespace kinsock::bench {
namespace {

struct Measurement {
  const char* name;
  const char* help;
  ControlFigures (*run)(const ControlOptions&);
};

constexpr Measurement kMeasurements[] = {
    {"mutations", "CreateVm, GetVm, UpdateVm, DeleteVm: quantiles and calls per second", MeasureMutations},
    {"scale", "--vms VMs created, listed and watched, and what each costs", MeasureScale},
    {"fan-out", "--changes changes, each seen by --watchers watchers", MeasureFanOut},
    {"restart", "kill -9 with --vms VMs: until the sockets of all accept again", MeasureRestart},
    {"scrape", "metrics of --vms VMs by HTTP: time, size, and what it does to two guests that talk", MeasureScrape},
    {"flood", "calls the API at --api as fast as it answers, until SIGTERM", MeasureFlood},
};

int Main(int argc, char** argv) {
  CLI::App app("Measures kinsockd's control plane.", "control_load");
  app.require_subcommand(1);
  ControlOptions options;
  bool in_memory = false;
  app.add_option("--clients", options.clients, "calls at a time (8)")->check(CLI::Range(1, 100));
  app.add_option("--calls", options.calls, "of each kind, by all clients together (2000)")
      ->check(CLI::Range(1, 100000));
  app.add_option("--vms", options.vms, "VMs (1000)")->check(CLI::Range(1, 100000));
  app.add_option("--watchers", options.watchers, "watches; more than 250 need root (1000)")->check(CLI::Range(1, 1000));
  app.add_option("--changes", options.changes, "changes that they see (50)")->check(CLI::Range(1, 100000));
  app.add_option("--rounds", options.rounds, "restarts (5)")->check(CLI::Range(1, 1000));
  app.add_option("--scrapes", options.scrapes, "of the metrics (50)")->check(CLI::Range(1, 100000));
  app.add_flag("--in-memory", in_memory, "the daemon keeps no state on the disk");
  app.add_option("--api", options.api, "socket of the daemon to flood");
  app.add_option("--backend", options.backend, "its process, whose CPU time and memory are reported");
  std::vector<std::pair<CLI::App*, const Measurement*>> commands;
  for (const Measurement& measurement : kMeasurements) {
    commands.emplace_back(app.add_subcommand(measurement.name, measurement.help), &measurement);
    commands.back().first->fallthrough();
  }
  CLI11_PARSE(app, argc, argv);
  options.on_disk = !in_memory;
  for (const auto& [command, measurement] : commands) {
    if (!command->parsed()) continue;
    const char* separator = "{";
    for (const ControlFigure& figure : measurement->run(options)) {
      if (!std::isfinite(figure.value)) continue;  // JSON has no word for it
      std::printf("%s\"%s\": %.9g", separator, figure.name.c_str(), figure.value);
      separator = ", ";
    }
    std::printf("}\n");
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kinsock::bench

int main(int argc, char** argv) { return kinsock::bench::Main(argc, argv); }
