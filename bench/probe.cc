// SPDX-License-Identifier: Apache-2.0
#include "bench/probe.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kinsock::bench {
namespace {

std::filesystem::path Proc(pid_t process, const char* what) {
  return std::filesystem::path("/proc") / std::to_string(process) / what;
}

uint64_t CountEntries(const std::filesystem::path& directory) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(directory, error);
  return static_cast<uint64_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace

double CpuSeconds(pid_t process) {
  if (process == 0) return 0;
  uint64_t nanoseconds = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(Proc(process, "task"), error)) {
    std::ifstream schedstat(task.path() / "schedstat");
    uint64_t on_cpu = 0;
    if (schedstat >> on_cpu) nanoseconds += on_cpu;
  }
  return static_cast<double>(nanoseconds) * 1e-9;
}

uint64_t OwnMemoryBytes(pid_t process) {
  std::ifstream status(Proc(process, "status"));
  uint64_t kib = 0;
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, "RssAnon:")) continue;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() < 2 || !absl::SimpleAtoi(words[1], &kib)) return 0;
  }
  return kib * 1024;
}

uint64_t Threads(pid_t process) { return CountEntries(Proc(process, "task")); }
uint64_t Descriptors(pid_t process) { return CountEntries(Proc(process, "fd")); }

void Drive(const std::vector<BenchGuest*>& guests, const std::function<bool()>& done) {
  std::vector<pollfd> awaited;
  while (!done()) {
    bool any = false;
    for (BenchGuest* guest : guests) any |= guest->Poll();
    if (any) continue;
    bool sleepy = true;
    for (BenchGuest* guest : guests) sleepy &= guest->Sleepy();
    if (!sleepy) continue;
    awaited.clear();
    for (const BenchGuest* guest : guests) guest->AppendAwaited(awaited);
    constexpr int kLookAtTheClockMs = 20;
    if (poll(awaited.data(), awaited.size(), kLookAtTheClockMs) <= 0) continue;
    for (const pollfd& fd : awaited) {
      eventfd_t count;
      if (fd.revents != 0) eventfd_read(fd.fd, &count);
    }
  }
}

void DriveFor(const std::vector<BenchGuest*>& guests, BenchClock::duration duration) {
  const BenchClock::time_point end = BenchClock::now() + duration;
  Drive(guests, [end] { return BenchClock::now() >= end; });
}

double Quantile(std::vector<double>& samples, double part) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return samples[std::min(samples.size() - 1, static_cast<size_t>(part * static_cast<double>(samples.size())))];
}

}  // namespace kinsock::bench
