// SPDX-License-Identifier: Apache-2.0
#include "bench/probe.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
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

double Read(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double CpuSeconds(pid_t process) {
  clockid_t clock;
  if (process == 0 || clock_getcpuclockid(process, &clock) != 0) return 0;
  return Read(clock);
}

double OwnCpuSeconds() { return Read(CLOCK_PROCESS_CPUTIME_ID); }
double ThreadCpuSeconds() { return Read(CLOCK_THREAD_CPUTIME_ID); }

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

double Quantile(std::vector<double>& samples, double part) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(samples.size())));
  return samples[std::clamp<size_t>(rank, 1, samples.size()) - 1];
}

}  // namespace kinsock::bench
