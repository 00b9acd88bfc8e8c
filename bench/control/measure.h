// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_CONTROL_MEASURE_H_
#define KINSOCK_BENCH_CONTROL_MEASURE_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace kinsock::bench {

// What a measurement of the control plane is told on the command line.
struct ControlOptions {
  size_t clients = 8;   // calls at a time
  size_t calls = 2000;  // of each kind, by all clients together
  size_t vms = 1000;
  size_t watchers = 1000;
  size_t changes = 50;  // that all watchers see
  size_t rounds = 5;    // restarts
  size_t scrapes = 50;  // of the metrics
  bool on_disk = true;
  std::string api;    // socket of the daemon that is flooded
  pid_t backend = 0;  // its process
};

struct ControlFigure {
  std::string name;
  double value;
};
using ControlFigures = std::vector<ControlFigure>;

// CreateVm, GetVm, UpdateVm and DeleteVm by clients with a connection each: quantiles and calls per second.
ControlFigures MeasureMutations(const ControlOptions& options);
// VMs created, listed and watched; what each costs the daemon.
ControlFigures MeasureScale(const ControlOptions& options);
// One change after the other, each seen by all watchers: from the call until a watcher has it.
ControlFigures MeasureFanOut(const ControlOptions& options);
// kill -9 and a new start: until the sockets of all VMs accept.
ControlFigures MeasureRestart(const ControlOptions& options);
// The metrics of VMs that are there and silent but for two, whose round trips are measured with and without scrapes.
ControlFigures MeasureScrape(const ControlOptions& options);
// Calls another daemon's API as fast as it answers, until SIGTERM.
ControlFigures MeasureFlood(const ControlOptions& options);

// Ends the process with a message: there is no number to report.
[[noreturn]] void Abandon(const std::string& why);

// The soft limit of descriptors becomes the hard one; root's becomes at least `wanted`. Daemons inherit it.
void RaiseDescriptorLimit(size_t wanted);

inline double Milliseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// "<name>_p50_ms", "<name>_p99_ms". Sorts the samples.
void AddQuantiles(const std::string& name, std::vector<double>& samples, ControlFigures& figures);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_CONTROL_MEASURE_H_
