// SPDX-License-Identifier: Apache-2.0
#include "server/log.h"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/wrappers.pb.h"
#include "server/journal.h"
#include "server/text.h"

namespace kinsock {
namespace {

// Lines that wait for the log thread: a burst of all VMs' state changes. Beyond, the oldest are dropped.
constexpr size_t kQueuedLines = 8192;
// A pipe that poll() calls writable takes this much at once (PIPE_BUF), so a write never blocks.
constexpr size_t kMaxLineBytes = 4096;

// Writes to standard error when it takes something, and counts what it did not take.
class NonBlockingStderr final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!Writable()) {
      ++dropped_;
      return;
    }
    if (dropped_ > 0) {
      const std::string lost = absl::StrCat("log.dropped lines=", dropped_, "\n");
      dropped_ = 0;
      Write(lost.data(), lost.size());
      if (!Writable()) {
        ++dropped_;
        return;
      }
    }
    std::string line(message.payload.data(), std::min(message.payload.size(), kMaxLineBytes - 1));
    line += '\n';
    Write(line.data(), line.size());
  }
  void flush_() override {}

 private:
  static bool Writable() {
    pollfd poll_fd{STDERR_FILENO, POLLOUT, 0};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
  }
  static void Write(const char* data, size_t size) {
    // A torn or failed write has nobody to be told to.
    if (write(STDERR_FILENO, data, size) < 0) return;
  }

  uint64_t dropped_ = 0;
};

// Sends entries to the journal. It alone waits when that takes nothing; meanwhile the queue drops the oldest.
class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    SendJournalEntry({message.payload.data(), message.payload.size()});
  }
  void flush_() override {}
};

// Set once before the threads that log are started.
std::atomic<spdlog::logger*> g_logger{nullptr};
std::atomic<LogLevel> g_level{LogLevel::kInfo};
LogFormat g_format = LogFormat::kKeyValue;
bool g_journal = false;  // entries with fields in place of lines

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// Of syslog(3).
int PriorityOf(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return 6;
    case LogLevel::kWarning:
      return 4;
    case LogLevel::kError:
      return 3;
  }
  return 6;
}

std::string JsonString(std::string_view text) {
  google::protobuf::StringValue value;
  value.set_value(IsUtf8(text) ? std::string(text) : absl::CEscape(AbslView(text)));
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) return "\"\"";
  return json;
}

std::string PlainValue(const std::string& text) {
  if (text.find_first_of(" \"\\=\n\t\r") == std::string::npos && IsUtf8(text)) return text;
  return absl::StrCat("\"", absl::CEscape(text), "\"");
}

}  // namespace

void StartLogging(LogFormat format) {
  g_format = format;
  g_journal = format == LogFormat::kKeyValue && StandardErrorIsJournal();
  // The library reports failure to start its thread by an exception; the daemon then runs without a log.
  try {
    spdlog::init_thread_pool(kQueuedLines, 1);
    const spdlog::sink_ptr sink = g_journal ? spdlog::sink_ptr(std::make_shared<JournalSink>())
                                            : spdlog::sink_ptr(std::make_shared<NonBlockingStderr>());
    static std::shared_ptr<spdlog::async_logger> logger = std::make_shared<spdlog::async_logger>(
        "kinsock", sink, spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
    g_logger.store(logger.get(), std::memory_order_release);
  } catch (const std::exception&) {
    g_logger.store(nullptr, std::memory_order_release);
  }
}

void SetLogLevel(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
LogLevel CurrentLogLevel() { return g_level.load(std::memory_order_relaxed); }

void StopLogging() {
  g_logger.store(nullptr, std::memory_order_release);
  spdlog::shutdown();
}

Log::~Log() {
  spdlog::logger* logger = g_logger.load(std::memory_order_acquire);
  if (logger == nullptr || level_ < CurrentLogLevel()) return;
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  std::string line;
  if (g_format == LogFormat::kJson) {
    line =
        absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", LevelName(level_), "\",\"event\":", JsonString(event_));
    for (const auto& [key, value] : fields_) absl::StrAppend(&line, ",", JsonString(key), ":", JsonString(value));
    line += '}';
  } else {
    line = std::string(event_);
    for (const auto& [key, value] : fields_) absl::StrAppend(&line, " ", AbslView(key), "=", PlainValue(value));
    // The journal has time and level of its own.
    line = g_journal ? EncodeJournalEntry(PriorityOf(level_), event_, line, fields_)
                     : absl::StrCat(time, " ", LevelName(level_), " ", line);
  }
  logger->log(spdlog::level::info, line);
}

}  // namespace kinsock
