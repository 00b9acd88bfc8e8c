// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_PROBE_H_
#define KINSOCK_BENCH_PROBE_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "bench/bench_guest.h"

namespace kinsock::bench {

using BenchClock = std::chrono::steady_clock;

inline double Seconds(BenchClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// CPU time that all threads of a process have used so far, in seconds, to the nanosecond. 0 for no process.
double CpuSeconds(pid_t process);
// Resident memory that is the process' own (not shared with guests), bytes; and its threads and descriptors.
uint64_t OwnMemoryBytes(pid_t process);
uint64_t Threads(pid_t process);
uint64_t Descriptors(pid_t process);

// Drives guests on this thread until `done`, sleeping only when none has anything to do.
void Drive(const std::vector<BenchGuest*>& guests, const std::function<bool()>& done);
// The same for a time.
void DriveFor(const std::vector<BenchGuest*>& guests, BenchClock::duration duration);

// Wall and CPU time of a stretch of work.
class Stretch {
 public:
  explicit Stretch(pid_t backend)
      : backend_(backend), cpu_(CpuSeconds(backend)), begin_(BenchClock::now()) {}
  double wall() const { return Seconds(BenchClock::now() - begin_); }
  double cpu() const { return CpuSeconds(backend_) - cpu_; }

 private:
  const pid_t backend_;
  const double cpu_;
  const BenchClock::time_point begin_;
};

// The value below which `part` of `samples` lie. Sorts them.
double Quantile(std::vector<double>& samples, double part);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_PROBE_H_
