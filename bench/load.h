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
  std::vector<std::string> sockets;   // vhost-user sockets of the guests, in order
  std::string uds_path;               // hybrid socket of the first guest
  pid_t backend = 0;                  // whose CPU time is counted; 0: nobody's
  uint32_t write_bytes = 64 * 1024;
  uint32_t connections = 1;
  std::chrono::milliseconds duration{2000};
  BenchGuestOptions guest;
};

// One measured number.
struct Figure {
  std::string name;
  double value;
};
using Figures = std::vector<Figure>;

// The measurements; each returns what it found, or ends the process with a message.
Figures MeasureSiblingThroughput(const LoadOptions& options);
Figures MeasureSiblingLatency(const LoadOptions& options);
Figures MeasureSiblingConnects(const LoadOptions& options);
Figures MeasureFairness(const LoadOptions& options);
Figures MeasureStalledSibling(const LoadOptions& options);
Figures MeasureQuietConnections(const LoadOptions& options);
Figures MeasureHostToGuest(const LoadOptions& options);
Figures MeasureGuestToHost(const LoadOptions& options);
Figures MeasureHostLatency(const LoadOptions& options);
Figures MeasureHostConnects(const LoadOptions& options);
Figures MeasureIdle(const LoadOptions& options);

// What the machine itself can do with the same sizes.
Figures MeasureMemcpy(const LoadOptions& options);
Figures MeasureUnixStream(const LoadOptions& options);
Figures MeasureEventfd(const LoadOptions& options);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_LOAD_H_
