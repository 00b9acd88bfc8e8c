// SPDX-License-Identifier: Apache-2.0
//
// A short measurement of kinsockd that looks at every byte, between guests and with the host, in processes of their
// own as compare.py runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class VsockLoad : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (access((dir_ / "4.sock").c_str(), F_OK) != 0) {
      ASSERT_TRUE(daemon_.running()) << daemon_.Stderr();
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      poll(nullptr, 0, 5);
    }
  }

  std::string Vm(const std::string& cid) {
    return "guest-cid=" + cid + ",socket=" + (dir_ / (cid + ".sock")) + ",uds-path=" + (dir_ / (cid + ".uds"));
  }

  // What vsock_load prints.
  std::string Measure(const std::string& what) {
    const std::string command = "bench/vsock_load " + what + " --json --milliseconds 200 --backend " +
                                std::to_string(daemon_.pid()) + " --socket " + (dir_ / "3.sock") + " --socket " +
                                (dir_ / "4.sock") + " --uds-path " + (dir_ / "3.uds");
    FILE* output = popen(command.c_str(), "r");
    std::string text;
    std::array<char, 512> piece;
    while (fgets(piece.data(), piece.size(), output) != nullptr) text += piece.data();
    EXPECT_EQ(pclose(output), 0) << text;
    return text;
  }

  void ExpectAllRight(const std::string& figures) {
    EXPECT_THAT(figures, HasSubstr("\"wrong_streams\": 0"));
    EXPECT_THAT(figures, Not(HasSubstr("\"verified_mib\": 0,")));
  }

  TempDir dir_;
  Process daemon_{{"server/kinsockd", "--vm", Vm("3"), "--vm", Vm("4")}};
};

TEST_F(VsockLoad, SiblingsGetEveryByteOfPackedAndSplitWrites) {
  ExpectAllRight(Measure("sibling --verify --write 64"));
  ExpectAllRight(Measure("sibling --verify --mixed-writes --connections 8"));
}

TEST_F(VsockLoad, HostAndGuestGetEveryByteOfEachOther) {
  ExpectAllRight(Measure("host-to-guest --verify --write 3001"));
  ExpectAllRight(Measure("guest-to-host --verify --mixed-writes"));
}

}  // namespace
}  // namespace kinsock::testing
