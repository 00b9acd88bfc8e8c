// SPDX-License-Identifier: Apache-2.0
//
// What systemd hears of a kinsockd that it has started.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "tests/server/daemon_process.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ServiceManagerTest : public ::testing::Test {
 protected:
  ServiceManagerTest() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string path = dir_ / "notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    setenv("WATCHDOG_USEC", "300000", 1);
  }
  ~ServiceManagerTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }

  // The next message that `is_it`; empty when none comes.
  std::string Await(const std::function<bool(const std::string&)>& is_it) {
    pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    while (poll(&readable, 1, 60'000) == 1) {
      char message[4096];
      const ssize_t size = recv(socket_.get(), message, sizeof(message), 0);
      if (size > 0 && is_it(std::string(message, static_cast<size_t>(size)))) {
        return std::string(message, static_cast<size_t>(size));
      }
    }
    return "";
  }
  std::string Await(const std::string& text) {
    return Await([&](const std::string& message) { return message.find(text) != std::string::npos; });
  }

  testing::TempDir dir_;
  const UniqueFd socket_;
  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
};

TEST_F(ServiceManagerTest, ItHearsOfReadinessOfWhatThereIsAndOfTheEnd) {
  ASSERT_TRUE(daemon_.Start());
  EXPECT_THAT(Await("READY=1"), HasSubstr("STATUS=0 VMs"));
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  EXPECT_THAT(Await("STATUS=1 VM"), HasSubstr("0 guests run"));
  daemon_.Stop();
  EXPECT_THAT(Await("STOPPING=1"), HasSubstr("STOPPING=1"));
}

TEST_F(ServiceManagerTest, ItHearsOfReloads) {
  const std::string file = daemon_ / "kinsock.yaml";
  std::ofstream(file) << "vms: [{name: a, guest_cid: 3}]\n";
  ASSERT_TRUE(daemon_.Start({"--config", file})) << daemon_.errors();
  EXPECT_THAT(Await("READY=1"), HasSubstr("STATUS=1 VM"));
  ASSERT_EQ(kill(daemon_.pid(), SIGHUP), 0);
  EXPECT_THAT(Await("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
  EXPECT_EQ(Await("READY=1"), "READY=1");
}

TEST_F(ServiceManagerTest, ADaemonThatGoesRoundFeedsTheWatchdog) {
  ASSERT_TRUE(daemon_.Start());
  for (int i = 0; i < 5; ++i) EXPECT_THAT(Await("WATCHDOG=1"), StartsWith("WATCHDOG=1"));
}

}  // namespace
}  // namespace kinsock
