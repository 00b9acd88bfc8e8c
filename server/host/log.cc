// SPDX-License-Identifier: Apache-2.0
#include "server/host/log.h"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/wrappers.pb.h"
#include "server/host/journal.h"

namespace kinsock {
namespace {

// Lines that wait for the log thread: a burst of all VMs' state changes. Beyond, the oldest are dropped.
constexpr size_t kQueuedLines = 8192;
// A pipe that poll() calls writable takes this much at once (PIPE_BUF), so a write never blocks.
constexpr size_t kMaxLineBytes = 4096;

// Set once before the threads that log are started.
std::atomic<spdlog::logger*> g_logger{nullptr};
std::atomic<LogLevel> g_level{LogLevel::kInfo};
LogFormat g_format = LogFormat::kKeyValue;
bool g_journal = false;  // entries with fields in place of lines

// Lines that nobody will read, by the log thread; those that the queue dropped are in it when the next one is written.
std::atomic<uint64_t> g_dropped{0};

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

using Fields = std::vector<std::pair<std::string_view, std::string>>;

// One line, without its end, or one entry of the journal.
std::string Format(LogLevel level, std::string_view event, const Fields& fields) {
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  if (g_format == LogFormat::kJson) {
    std::string line =
        absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", LevelName(level), "\",\"event\":", JsonString(event));
    for (const auto& [key, value] : fields) absl::StrAppend(&line, ",", JsonString(key), ":", JsonString(value));
    line += '}';
    return line;
  }
  std::string line(event);
  for (const auto& [key, value] : fields) absl::StrAppend(&line, " ", AbslView(key), "=", PlainValue(value));
  // The journal has time and level of its own.
  return g_journal ? EncodeJournalEntry(PriorityOf(level), event, line, fields)
                   : absl::StrCat(time, " ", LevelName(level), " ", line);
}

// Where lines go, on the log thread. Before the first line after some were lost comes one that counts them.
class CountingSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // `queue` owns the thread that this runs on.
  explicit CountingSink(spdlog::details::thread_pool& queue) : queue_(queue) {}

  // Any thread. Whether the log has come to its flush within `patience`. What comes after either is dropped.
  bool AwaitFlush(std::chrono::milliseconds patience) {
    const bool flushed = flushed_.WaitForNotificationWithTimeout(absl::FromChrono(patience));
    closed_.store(true, std::memory_order_relaxed);
    return flushed;
  }

 protected:
  // False: not now.
  virtual bool Write(std::string_view line) = 0;

  void sink_it_(const spdlog::details::log_msg& message) final {
    if (closed_.load(std::memory_order_relaxed)) return;
    const uint64_t overrun = queue_.overrun_counter();
    Lose(overrun - std::exchange(overrun_, overrun));
    if (untold_ > 0 && Write(Format(LogLevel::kWarning, "log.dropped", {{"lines", absl::StrCat(untold_)}}))) {
      untold_ = 0;
    }
    if (untold_ > 0 || !Write({message.payload.data(), message.payload.size()})) Lose(1);
  }
  void flush_() final {
    closed_.store(true, std::memory_order_relaxed);
    if (!flushed_.HasBeenNotified()) flushed_.Notify();
  }

 private:
  void Lose(uint64_t lines) {
    untold_ += lines;
    g_dropped.fetch_add(lines, std::memory_order_relaxed);
  }

  spdlog::details::thread_pool& queue_;
  uint64_t overrun_ = 0;  // of queue_, as far as it was seen
  uint64_t untold_ = 0;
  std::atomic<bool> closed_{false};
  absl::Notification flushed_;
};

CountingSink* g_sink = nullptr;  // the logger's; set and read by the main thread

// Writes to standard error when it takes something.
class NonBlockingStderr final : public CountingSink {
 public:
  using CountingSink::CountingSink;

 private:
  bool Write(std::string_view text) override {
    pollfd poll_fd{STDERR_FILENO, POLLOUT, 0};
    if (poll(&poll_fd, 1, 0) != 1 || (poll_fd.revents & POLLOUT) == 0) return false;
    std::string line(text.substr(0, kMaxLineBytes - 1));
    line += '\n';
    // A torn or failed write has nobody to be told to.
    return write(STDERR_FILENO, line.data(), line.size()) > 0;
  }
};

// Sends entries to the journal. It alone waits when that takes nothing; meanwhile the queue drops the oldest.
class JournalSink final : public CountingSink {
 public:
  using CountingSink::CountingSink;

 private:
  bool Write(std::string_view entry) override { return SendJournalEntry(entry); }
};

}  // namespace

void StartLogging(LogFormat format) {
  g_format = format;
  g_journal = format == LogFormat::kKeyValue && StandardErrorIsJournal();
  // The library reports failure to start its thread by an exception; the daemon then runs without a log.
  try {
    spdlog::init_thread_pool(kQueuedLines, 1);
    spdlog::details::thread_pool& queue = *spdlog::thread_pool();
    std::shared_ptr<CountingSink> sink;
    if (g_journal) {
      sink = std::make_shared<JournalSink>(queue);
    } else {
      sink = std::make_shared<NonBlockingStderr>(queue);
    }
    g_sink = sink.get();
    static std::shared_ptr<spdlog::async_logger> logger;
    logger = std::make_shared<spdlog::async_logger>("kinsock", sink, spdlog::thread_pool(),
                                                    spdlog::async_overflow_policy::overrun_oldest);
    g_logger.store(logger.get(), std::memory_order_release);
  } catch (const std::exception&) {
    g_logger.store(nullptr, std::memory_order_release);
  }
}

void SetLogLevel(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
uint64_t DroppedLogLines() { return g_dropped.load(std::memory_order_relaxed); }
LogLevel CurrentLogLevel() { return g_level.load(std::memory_order_relaxed); }

bool StopLogging() {
  spdlog::logger* const logger = g_logger.exchange(nullptr, std::memory_order_acq_rel);
  if (logger == nullptr) return true;
  logger->flush();  // behind all that is queued
  if (!g_sink->AwaitFlush(kLogPatience)) return false;
  spdlog::shutdown();
  return true;
}

Log::~Log() {
  spdlog::logger* logger = g_logger.load(std::memory_order_acquire);
  if (logger == nullptr || level_ < CurrentLogLevel()) return;
  logger->log(spdlog::level::info, Format(level_, event_, fields_));
}

}  // namespace kinsock
