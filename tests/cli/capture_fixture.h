// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CLI_CAPTURE_FIXTURE_H_
#define KINSOCK_TESTS_CLI_CAPTURE_FIXTURE_H_

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/cli/running_ctl.h"
#include "tests/server/daemon_process.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// A kinsockd, two guests that talk, and a kinsockctl that captures what they say.
class CaptureFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
    Boot("asker", 3, asker_);
    Boot("teller", 4, teller_);
  }

  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(id, cid, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Run([&] { return daemon_.Get(id).status().state() == v1::VmStatus::ACTIVE; });
    guest.Listen(5000);
  }

  void Run(const std::function<bool()>& done) { ASSERT_TRUE(stage_.RunUntil(done)) << stage_.Describe(); }

  void Talk() {
    Stream question = asker_.Connect(4, 5000);
    Stream answer = teller_.Accept(5000);
    question.Send("question");
    Run([&] { return answer.Received() == "question"; });
    question.Close();
    Run([&] { return answer.closed() || answer.at_eof(); });
  }

  std::string endpoint() const { return "unix:" + daemon_ / "api.sock"; }

  std::unique_ptr<RunningCtl> Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "capture");
    return std::make_unique<RunningCtl>(stage_, endpoint(), std::move(arguments));
  }

  // Its exit code; -1000 if it does not end.
  int End(RunningCtl& ctl) {
    stage_.RunUntil([&] { return ctl.code().has_value() && ctl.output_ended(); });
    return ctl.code().value_or(-1000);
  }

  // What it prints first comes when every reactor captures.
  void AwaitBegin(const RunningCtl& ctl) {
    Run([&] { return !ctl.printed().empty(); });
  }

  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
  Stage stage_;
  SimulatedGuest asker_{stage_}, teller_{stage_};
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CLI_CAPTURE_FIXTURE_H_
