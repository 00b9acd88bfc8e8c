// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_LOAD_H_
#define KINSOCK_BENCH_LOAD_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/bench_guest.h"

namespace kinsock::bench {

// What a measurement is told on the command line.
struct LoadOptions {
  std::vector<std::string> sockets;  // vhost-user sockets of the guests, in order
  std::string uds_path;              // hybrid socket of the first guest
  pid_t backend = 0;                 // whose CPU time and memory are reported; 0: nobody's
  uint32_t write_bytes = 64 * 1024;
  uint32_t connections = 1;
  uint32_t pairs = 1;    // that talk, of all guests
  std::string attack;    // its name
  uint64_t victim = 4;   // CID of the guest that is attacked
  double percent = 100;  // of a CPU, to burn
  std::chrono::milliseconds duration{1000};
  BenchGuestOptions guest;
};

// One measured number.
struct Figure {
  std::string name;
  double value;
};
using Figures = std::vector<Figure>;

// Where guests and host programs of a measurement listen.
inline constexpr uint32_t kPort = 5000;
// More than any measurement can send.
inline constexpr uint64_t kEndless = uint64_t{1} << 60;
inline constexpr double kGbit = 8e-9;  // of a byte

// What a host program reads at once.
inline constexpr uint32_t kReadBytes = 64 * 1024;

// The part of a measurement's duration that is run before it, for caches, pools and windows to become as they stay.
inline constexpr int kWarmUpPart = 4;

// Ends the process with a message: there is no number to report.
[[noreturn]] void Fail(const std::string& why);
// The same unless as many --socket were given.
void Need(const LoadOptions& options, size_t guests);

// Throughput of a stretch of work: per second, per CPU-second of the back-end, and what this process spent.
class Stretch;
Figures Throughput(uint64_t bytes, const Stretch& stretch);
// Quantiles of round trips, in microseconds. Sorts them.
Figures Latency(std::vector<double>& samples);

// The measurements; each returns what it found, or ends the process.
Figures MeasureSiblingThroughput(const LoadOptions& options);
Figures MeasureSiblingLatency(const LoadOptions& options);
Figures MeasureSiblingConnects(const LoadOptions& options);

Figures MeasureHostToGuest(const LoadOptions& options);
Figures MeasureGuestToHost(const LoadOptions& options);
Figures MeasureHostLatency(const LoadOptions& options);
Figures MeasureGuestLatency(const LoadOptions& options);
Figures MeasureHostConnects(const LoadOptions& options);
Figures MeasureGuestConnects(const LoadOptions& options);

Figures MeasureFairness(const LoadOptions& options);
Figures MeasureStalledSibling(const LoadOptions& options);
Figures MeasureFloodedSibling(const LoadOptions& options);
Figures MeasureTwoSenders(const LoadOptions& options);

Figures MeasureIdle(const LoadOptions& options);
Figures MeasurePairs(const LoadOptions& options);
Figures MeasureQuietConnections(const LoadOptions& options);

// What the machine itself can do with the same sizes.
Figures MeasureMemcpy(const LoadOptions& options);
Figures MeasureUnixStream(const LoadOptions& options);
Figures MeasureEventfd(const LoadOptions& options);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_LOAD_H_
