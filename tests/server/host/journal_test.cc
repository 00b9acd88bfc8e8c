// SPDX-License-Identifier: Apache-2.0
//
// The log as the journal of systemd gets it: by the real library, at the path that it knows, in a mount namespace of
// this process.
#include "server/host/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "server/host/log.h"
#include "tests/server/host/journal_socket.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

TEST(JournalTest, LinesOfTheLogAreEntriesWithFields) {
  const UniqueFd journal = testing::BecomeTheJournal();
  ASSERT_TRUE(journal.valid()) << "this test needs a mount namespace";
  struct stat found;
  ASSERT_EQ(fstat(STDERR_FILENO, &found), 0);
  EXPECT_FALSE(StandardErrorIsJournal());
  setenv("JOURNAL_STREAM", absl::StrCat(found.st_dev, ":", found.st_ino + 1).c_str(), 1);
  EXPECT_FALSE(StandardErrorIsJournal()) << "it was inherited, and standard error was put elsewhere";
  setenv("JOURNAL_STREAM", absl::StrCat(found.st_dev, ":", found.st_ino).c_str(), 1);
  EXPECT_TRUE(StandardErrorIsJournal());

  StartLogging(LogFormat::kKeyValue);
  Log(LogLevel::kInfo, "vm.created").With("vm", "vms/web-1").With("cid", 42);
  // A client chose these.
  Log(LogLevel::kError, "api.denied")
      .With("caller", std::string("a\0PRIORITY=0", 12))
      .With("method", std::string(100'000, 'x'))
      .With("b-d.k y", "\xff");
  StopLogging();  // writes what is queued

  std::map<std::string, std::string> entry = testing::NextEntry(journal);
  EXPECT_EQ(entry["MESSAGE"], "vm.created vm=vms/web-1 cid=42");
  EXPECT_EQ(entry["PRIORITY"], "6");
  EXPECT_EQ(entry["SYSLOG_IDENTIFIER"], "kinsockd");
  EXPECT_EQ(entry["MESSAGE_ID"], MessageIdOf("vm.created"));
  EXPECT_EQ(entry["KINSOCK_EVENT"], "vm.created");
  EXPECT_EQ(entry["KINSOCK_VM"], "vms/web-1");
  EXPECT_EQ(entry["KINSOCK_CID"], "42");
  entry = testing::NextEntry(journal);
  EXPECT_EQ(entry["PRIORITY"], "3") << "nobody else sets it";
  EXPECT_EQ(entry["KINSOCK_CALLER"], "a\\000PRIORITY=0");
  EXPECT_EQ(entry["KINSOCK_METHOD"].size(), kMaxJournalFieldBytes);
  EXPECT_EQ(entry["KINSOCK_B_D_K_Y"], "\\377");
  EXPECT_TRUE(testing::NextEntry(journal).empty());
}

TEST(JournalTest, IdsAreFixedAndTheCatalogHasThem) {
  EXPECT_EQ(MessageIdOf("dataplane.stuck"), "15e733cdd9e96ee750bd85fe9a6eb477");
  std::ifstream file("deploy/systemd/kinsock.catalog");
  std::stringstream catalog;
  catalog << file.rdbuf();
  for (const char* event : {"dataplane.stuck", "watchdog.withheld", "store.failed", "vm.not_restored",
                            "api.no_descriptors", "api.denied", "node.draining"}) {
    EXPECT_THAT(catalog.str(), HasSubstr(absl::StrCat("-- ", MessageIdOf(event), "\nSubject: "))) << event;
  }
}

}  // namespace
}  // namespace kinsock
