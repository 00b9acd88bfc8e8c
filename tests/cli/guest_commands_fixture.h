// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CLI_GUEST_COMMANDS_FIXTURE_H_
#define KINSOCK_TESTS_CLI_GUEST_COMMANDS_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/cli/running_ctl.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

inline bool Exists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0;
}

// Whether a program listens there; nobody connects to find out (proc(5), /proc/net/unix).
inline bool IsListenedOn(const std::string& path) {
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    if (line.find(" 00010000 ") != std::string::npos && line.ends_with(" " + path)) return true;
  }
  return false;
}

// kinsockctl in a process of its own, and a daemon with the VM "web", whose guest is simulated, in this one.
class GuestCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    v1::CreateVmRequest request;
    request.set_vm_id("web");
    request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(uds_);
    ASSERT_TRUE(daemon_.Create(request, &vm_).ok());
  }

  void Boot() {
    guest_ = std::make_unique<SimulatedGuest>(stage_);
    ASSERT_TRUE(guest_->PowerOn(vm_.status().vhost_user_socket()).ok());
    ASSERT_TRUE(stage_.RunUntil([&] {
      v1::Vm now;
      return daemon_.Get("vms/web", &now).ok() && now.status().state() == v1::VmStatus::ACTIVE;
    }));
  }

  std::unique_ptr<RunningCtl> Start(std::vector<std::string> arguments) {
    return std::make_unique<RunningCtl>(stage_, "unix:" + daemon_.api_socket(), std::move(arguments));
  }

  // Its exit code; -1000 if it does not end.
  int End(RunningCtl& ctl) {
    stage_.RunUntil([&] { return ctl.code().has_value() && ctl.output_ended(); });
    return ctl.code().value_or(-1000);
  }

  // Runs a command to its end, without input.
  std::unique_ptr<RunningCtl> Run(std::vector<std::string> arguments) {
    std::unique_ptr<RunningCtl> ctl = Start(std::move(arguments));
    ctl->EndInput();
    End(*ctl);
    return ctl;
  }

  RunningDaemon daemon_;
  const std::string uds_ = daemon_ / "web.uds";
  Stage stage_;
  v1::Vm vm_;
  std::unique_ptr<SimulatedGuest> guest_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CLI_GUEST_COMMANDS_FIXTURE_H_
