// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_LOG_H_
#define KINSOCK_SERVER_HOST_LOG_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kinsock {

enum class LogLevel : uint8_t { kInfo, kWarning, kError };
enum class LogFormat : uint8_t { kKeyValue, kJson };

// Logs to standard error from here on, one line per event, through a thread and a bounded queue of its own: a reader
// of the log that stops delays nobody. What does not fit is dropped, oldest first, and counted in a line of its own,
// log.dropped. Before this (and in tests) nothing is written. Once, on the main thread.
void StartLogging(LogFormat format);

// How long the end of the daemon waits for the journal to take what is queued, which takes it a fraction of a second.
// Beyond: the rest is lost, for a journal that has stopped must not keep the daemon from ending.
inline constexpr std::chrono::milliseconds kLogPatience{2000};

// Writes what is queued, as far as standard error takes it, or the journal does within kLogPatience. False: that takes
// nothing, and the log's thread hangs in it: the process has to end by _exit().
bool StopLogging();

// Lines below `level` are dropped from here on. Any thread.
void SetLogLevel(LogLevel level);
LogLevel CurrentLogLevel();

// Lines that were dropped since the start. Any thread.
uint64_t DroppedLogLines();

// One line, written when it goes out of scope. Any thread; does not block.
//
//     Log(LogLevel::kInfo, "vm.created").With("vm", name).With("cid", cid);
//     2026-01-01T10:00:00.000Z info vm.created vm=vms/web-1 cid=42
class Log {
 public:
  Log(LogLevel level, std::string_view event) : level_(level), event_(event) {}
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  // Empty texts are left out.
  Log& With(std::string_view key, std::string_view text) {
    if (!text.empty()) fields_.emplace_back(key, text);
    return *this;
  }
  Log& With(std::string_view key, const std::string& text) { return With(key, std::string_view(text)); }
  Log& With(std::string_view key, const char* text) { return With(key, std::string_view(text)); }
  Log& With(std::string_view key, absl::string_view text) {
    return With(key, std::string_view(text.data(), text.size()));
  }
  Log& With(std::string_view key, int64_t number) { return With(key, absl::StrCat(number)); }

 private:
  const LogLevel level_;
  const std::string_view event_;
  std::vector<std::pair<std::string_view, std::string>> fields_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_LOG_H_
