// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/report.h"

#include <string.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace kinsock::guest {
namespace {

std::string Line(std::string text, std::initializer_list<Field> fields) {
  for (const auto& [key, value] : fields) {
    std::string word = value;
    std::replace(word.begin(), word.end(), ' ', '_');
    text += std::string(" ") + key + "=" + word;
  }
  return text + "\n";
}

// One write per line: lines of several threads do not mix.
void Print(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

void Report(const char* event, std::initializer_list<Field> fields) { Print(Line(event, fields)); }

void Fail(const char* what, std::initializer_list<Field> fields) {
  Print(Line(std::string("failed what=") + what, fields));
  std::_Exit(EXIT_FAILURE);  // not exit(): other threads may be using what it would destroy
}

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? std::to_string(error) : name;
}

int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::string MibPerSecond(uint64_t bytes, int64_t ms) {
  char text[32];
  const double seconds = static_cast<double>(std::max<int64_t>(ms, 1)) / 1000;
  std::snprintf(text, sizeof(text), "%.1f", static_cast<double>(bytes) / (1 << 20) / seconds);
  return text;
}

}  // namespace kinsock::guest
