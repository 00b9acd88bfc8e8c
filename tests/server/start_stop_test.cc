// SPDX-License-Identifier: Apache-2.0
//
// A kinsockd in a process of its own that is told to end while it still starts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/store/state_store.h"
#include "tests/server/daemon_process.h"
#include "tests/server/store/state_fixture.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::HasSubstr;
using ::testing::Not;

class StartStopTest : public testing::StateFixture {
 protected:
  // Many times what is made between two looks of the test.
  static constexpr int kVms = 3000;
  static_assert(kVms <= StateStore::kMaxQueued);

  static std::string Name(int vm) { return absl::StrCat("vm-", vm); }

  // As an earlier daemon leaves it.
  void SaveVms() {
    ASSERT_TRUE(Open().ok());
    int left = kVms;
    for (int vm = 0; vm < kVms; ++vm) {
      store_->Commit(Making(Vm(Name(vm), static_cast<Cid>(3 + vm))), [&left](const absl::Status& written) {
        EXPECT_TRUE(written.ok()) << written;
        --left;
      });
    }
    while (left > 0) loop_.RunOnce(std::chrono::milliseconds(1000));
    store_.reset();
  }

  // Ends it when it has made the first of its VMs' sockets.
  void StopOnTheWay(const std::vector<std::string>& flags) {
    daemon_.Launch(flags);
    ASSERT_TRUE(stage_.RunUntil([&] { return access(sockets().c_str(), F_OK) == 0; })) << daemon_.errors();
    const int status = daemon_.Stop();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << "\n" << daemon_.errors();
    EXPECT_THAT(daemon_.errors(), HasSubstr("signal.stop"));
    EXPECT_THAT(daemon_.errors(), HasSubstr("daemon.not_started"));
    EXPECT_THAT(daemon_.errors(), Not(HasSubstr("daemon.started")));
    EXPECT_THAT(daemon_.errors(), Not(HasSubstr(" error ")));
    if (access(sockets().c_str(), F_OK) == 0) {
      EXPECT_TRUE(std::filesystem::is_empty(sockets())) << "nobody listens where they are";
    }
    EXPECT_NE(access((daemon_ / "api.sock").c_str(), F_OK), 0);
  }

  std::string sockets() const { return daemon_ / "kinsock/vms"; }

  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
  testing::Stage stage_;
};

TEST_F(StartStopTest, WhileVmsAreServedAgainTheStateStaysAsItIs) {
  SaveVms();
  const std::string before = Contents(path());
  StopOnTheWay({"--state-dir", directory()});
  EXPECT_EQ(Contents(path()), before) << "byte by byte";
  EXPECT_NE(access((path() + "-wal").c_str(), F_OK), 0) << "nothing waits to be written";

  ASSERT_TRUE(daemon_.Start({"--state-dir", directory()})) << daemon_.errors();
  EXPECT_THAT(daemon_.List(), ::testing::SizeIs(kVms));
}

TEST_F(StartStopTest, WhileVmsOfTheConfigurationAreMade) {
  const std::string file = dir_ / "kinsock.yaml";
  std::ofstream out(file);
  out << "vms:\n";
  for (int vm = 0; vm < kVms; ++vm) out << "- {name: " << Name(vm) << ", guest_cid: " << 3 + vm << "}\n";
  out.close();
  StopOnTheWay({"--config", file});
}

}  // namespace
}  // namespace kinsock
