// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_PROBE_H_
#define KINSOCK_BENCH_PROBE_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <vector>

namespace kinsock::bench {

using BenchClock = std::chrono::steady_clock;

inline double Seconds(BenchClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// CPU time that a process has used so far, by all threads it has or had, from the scheduler's account, seconds.
// 0 for no process.
double CpuSeconds(pid_t process);
// The same for the process that measures, and for its calling thread.
double OwnCpuSeconds();
double ThreadCpuSeconds();
// Resident memory that is the process' own (not shared with guests), bytes; and its threads and descriptors. Any
// thread; 0 when the process cannot be looked at.
uint64_t OwnMemoryBytes(pid_t process);
uint64_t Threads(pid_t process);
uint64_t Descriptors(pid_t process);

// Wall time of a stretch of work, and the CPU time that the back-end and this process spent in it.
class Stretch {
 public:
  explicit Stretch(pid_t backend)
      : backend_(backend), cpu_(CpuSeconds(backend)), own_cpu_(OwnCpuSeconds()), begin_(BenchClock::now()) {}

  // Ends it. What is asked for below is that of the stretch.
  void Stop() {
    wall_ = Seconds(BenchClock::now() - begin_);
    cpu_ = CpuSeconds(backend_) - cpu_;
    own_cpu_ = OwnCpuSeconds() - own_cpu_;
  }
  double wall() const { return wall_; }
  double cpu() const { return cpu_; }
  double own_cpu() const { return own_cpu_; }

 private:
  const pid_t backend_;
  double cpu_;
  double own_cpu_;
  const BenchClock::time_point begin_;
  double wall_ = 0;
};

// The smallest sample that at least `part` of all samples do not exceed (nearest rank), 0 <= part <= 1. Sorts them.
// 0 without samples.
double Quantile(std::vector<double>& samples, double part);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_PROBE_H_
