// SPDX-License-Identifier: Apache-2.0
#include "web/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace kinsock {
namespace {

// Fields of /proc/self/stat that follow the name of the program, which may have any byte in it; the first is the third
// of proc(5).
std::vector<std::string> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::ostringstream text;
  text << file.rdbuf();
  const std::string stat = text.str();
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipWhitespace());
}

constexpr size_t kUserTime = 14 - 3;
constexpr size_t kSystemTime = 15 - 3;
constexpr size_t kThreads = 20 - 3;
constexpr size_t kStartTime = 22 - 3;
constexpr size_t kVirtualBytes = 23 - 3;
constexpr size_t kResidentPages = 24 - 3;

double BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    double seconds = 0;
    if (line.rfind("btime ", 0) == 0 && absl::SimpleAtod(line.substr(6), &seconds)) return seconds;
  }
  return 0;
}

// Descriptors of this process; without the one that is open to count them.
size_t OpenDescriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  size_t count = 0;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(directory);
  return count > 0 ? count - 1 : 0;
}

}  // namespace

void WriteProcessMetrics(MetricWriter& out) {
  const std::vector<std::string> stat = StatFields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto field = [&](size_t index) {
    double value = 0;
    return index < stat.size() && absl::SimpleAtod(stat[index], &value) ? value : 0;
  };
  if (!stat.empty()) {
    out.Counter("process_cpu_seconds_total", "CPU time of user and system.")
        .Add((field(kUserTime) + field(kSystemTime)) / ticks);
    out.Gauge("process_threads", "Threads.").Add(field(kThreads));
    if (const double boot = BootTime(); boot > 0) {
      out.Gauge("process_start_time_seconds", "When the process was started, since the epoch.")
          .Add(boot + field(kStartTime) / ticks);
    }
    out.Gauge("process_virtual_memory_bytes", "Address space, guests' memory included.").Add(field(kVirtualBytes));
    out.Gauge("process_resident_memory_bytes", "Memory that is there, touched pages of guests' memory included.")
        .Add(field(kResidentPages) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }
  if (const size_t descriptors = OpenDescriptors(); descriptors > 0) {
    out.Gauge("process_open_fds", "Open descriptors.").Add(static_cast<double>(descriptors));
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    out.Gauge("process_max_fds", "The most there can be.").Add(static_cast<double>(files.rlim_cur));
  }
}

}  // namespace kinsock
