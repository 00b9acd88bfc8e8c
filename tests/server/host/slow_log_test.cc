// SPDX-License-Identifier: Apache-2.0
//
// A log whose reader stops: it holds nobody up, and what it lost is counted.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "server/host/log.h"
#include "tests/server/host/journal_socket.h"

namespace kinsock {
namespace {

TEST(SlowLogTest, AJournalThatTakesNothingForAWhileHoldsNobodyUpAndHearsHowManyItMissed) {
  const UniqueFd journal = testing::BecomeTheJournal();
  ASSERT_TRUE(journal.valid()) << "this test needs a mount namespace";
  struct stat found;
  ASSERT_EQ(fstat(STDERR_FILENO, &found), 0);
  setenv("JOURNAL_STREAM", absl::StrCat(found.st_dev, ":", found.st_ino).c_str(), 1);
  const uint64_t dropped_before = DroppedLogLines();
  StartLogging(LogFormat::kKeyValue);
  // More than its socket and the queue hold.
  constexpr uint64_t kLines = 20'000;
  for (uint64_t i = 0; i < kLines; ++i) Log(LogLevel::kInfo, "test.line").With("number", static_cast<int64_t>(i));

  uint64_t seen = 0, missed = 0;
  pollfd readable{.fd = journal.get(), .events = POLLIN, .revents = 0};
  while (seen + missed < kLines && poll(&readable, 1, 60'000) == 1) {
    std::map<std::string, std::string> entry = testing::NextEntry(journal);
    if (entry["KINSOCK_EVENT"] == "test.line") ++seen;
    if (entry["KINSOCK_EVENT"] == "log.dropped") missed += std::strtoull(entry["KINSOCK_LINES"].c_str(), nullptr, 10);
  }
  EXPECT_EQ(seen + missed, kLines);
  EXPECT_GT(missed, 0u);
  EXPECT_EQ(DroppedLogLines() - dropped_before, missed);
  EXPECT_TRUE(StopLogging());
}

// Takes nothing from when it is full, until it goes.
TEST(SlowLogTest, AJournalThatTakesNothingIsNotWaitedForWithoutEnd) {
  UniqueFd journal = testing::BecomeTheJournal();
  ASSERT_TRUE(journal.valid()) << "this test needs a mount namespace";
  struct stat found;
  ASSERT_EQ(fstat(STDERR_FILENO, &found), 0);
  setenv("JOURNAL_STREAM", absl::StrCat(found.st_dev, ":", found.st_ino).c_str(), 1);
  StartLogging(LogFormat::kKeyValue);
  for (int i = 0; i < 1000; ++i) Log(LogLevel::kInfo, "test.line").With("number", int64_t{i});
  EXPECT_FALSE(StopLogging());
  journal.reset();  // the log's thread goes on, and ends with the next logger
}

// Reads a line from `fd`, which has one soon.
std::string ReadLine(int fd) {
  std::string line;
  char byte;
  pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
  while (poll(&readable, 1, 60'000) == 1 && read(fd, &byte, 1) == 1 && byte != '\n') line += byte;
  return line;
}

TEST(SlowLogTest, AReaderOfJsonThatStopsIsToldInJson) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  const UniqueFd terminal(dup(STDERR_FILENO));
  ASSERT_EQ(dup2(writer.get(), STDERR_FILENO), STDERR_FILENO);
  StartLogging(LogFormat::kJson);
  // Fills the pipe, which takes pages.
  const std::string long_text(3000, 'x');
  constexpr uint64_t kLines = 1000;
  for (uint64_t i = 0; i < kLines; ++i) Log(LogLevel::kInfo, "test.line").With("text", long_text);
  uint64_t sent = kLines, seen = 0, missed = 0;
  std::string wrong;
  while (seen + missed < sent && wrong.empty()) {
    // Once the log has come to its end, another line makes it tell what was lost.
    pollfd readable{.fd = reader.get(), .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, 100) != 1) {
      Log(LogLevel::kInfo, "test.line");
      ++sent;
      continue;
    }
    const std::string line = ReadLine(reader.get());
    google::protobuf::Struct fields;
    if (!google::protobuf::util::JsonStringToMessage(line, &fields).ok()) wrong = line;
    const std::string& event = (*fields.mutable_fields())["event"].string_value();
    if (event == "test.line") ++seen;
    if (event == "log.dropped") {
      missed += std::strtoull((*fields.mutable_fields())["lines"].string_value().c_str(), nullptr, 10);
    }
  }
  dup2(terminal.get(), STDERR_FILENO);
  EXPECT_EQ(wrong, "");
  EXPECT_EQ(seen + missed, sent);
  EXPECT_GT(missed, 0u);
  EXPECT_TRUE(StopLogging());
}

}  // namespace
}  // namespace kinsock
