// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl capture: the program in a process of its own, a daemon and simulated guests in this one, and tshark that
// reads what it wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/capture/capture_contents.h"
#include "tests/cli/running_ctl.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ReadCapture;
using testing::RunningCtl;
using testing::SimulatedGuest;
using testing::Stream;

class CaptureCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Boot("asker", 3, asker_);
    Boot("teller", 4, teller_);
  }

  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(id, cid, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Run([&] { return daemon_.Get("vms/" + id, &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; });
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

  std::unique_ptr<RunningCtl> Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "capture");
    return std::make_unique<RunningCtl>(stage_, "unix:" + daemon_.api_socket(), std::move(arguments));
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

  testing::RunningDaemon daemon_;
  testing::Stage stage_;
  SimulatedGuest asker_{stage_}, teller_{stage_};
};

TEST_F(CaptureCommandTest, ToStandardOutputUntilSoManyPackets) {
  for (const char* format : {"pcap", "pcapng"}) {
    const auto ctl = Start({"-w", "-", "--format", format, "-c", "2", "--filter", "op=request,rw", "--vm", "teller"});
    AwaitBegin(*ctl);
    Talk();
    EXPECT_EQ(End(*ctl), 0) << ctl->Complaint();
    EXPECT_EQ(ctl->Complaint(), "2 packets captured, 0 lost\n");
    EXPECT_THAT(ReadCapture(ctl->printed()).Lines(), ElementsAre("3:4:5000 op 1", "3:4:5000 op 5"));
    EXPECT_EQ(ReadCapture(ctl->printed()).fault, "");
  }
}

TEST_F(CaptureCommandTest, AnInterruptEndsItWithAWholeFile) {
  const std::string path = daemon_ / "talk.pcapng";
  const auto ctl = Start({"-w", path});
  Run([&] { return !Read(path).empty(); });
  Talk();
  // Its last packet is in the file.
  Run([&] { return ReadCapture(Read(path)).packets.size() >= 10; });
  ctl->Signal(SIGINT);
  EXPECT_EQ(End(*ctl), 0) << ctl->Complaint();
  EXPECT_EQ(ReadCapture(Read(path)).fault, "");
  EXPECT_THAT(ReadCapture(Read(path)).Lines(), Contains("3:4:5000 op 1"));
  EXPECT_THAT(ctl->Complaint(), HasSubstr(" packets captured, 0 lost\n"));
  struct stat made;
  ASSERT_EQ(stat(path.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0600u) << "what people say may be in it";
}

TEST_F(CaptureCommandTest, AFileThatWasThereIsItsOwnersAloneFromThenOn) {
  const std::string path = daemon_ / "old.pcapng";
  std::ofstream(path) << "what somebody keeps for all to read";
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  const auto ctl = Start({"-w", path, "-c", "1"});
  struct stat found;
  Run([&] { return stat(path.c_str(), &found) == 0 && (found.st_mode & 0777) == 0600; });
  Talk();
  EXPECT_EQ(End(*ctl), 0) << ctl->Complaint();
  EXPECT_EQ(ReadCapture(Read(path)).fault, "");
}

TEST_F(CaptureCommandTest, AReaderThatLeavesEndsIt) {
  const auto ctl = Start({});
  AwaitBegin(*ctl);
  ctl->TakeOutput().reset();
  EXPECT_TRUE(stage_.RunUntil([&] { return ctl->code().has_value(); }));
  EXPECT_EQ(ctl->code().value_or(-1000), 0) << ctl->Complaint();
}

// As the documentation has it.
TEST_F(CaptureCommandTest, TsharkReadsItThroughAPipe) {
  const std::string out = daemon_ / "seen";
  const std::string line = absl::StrCat("HOME=", daemon_.directory(), " KINSOCK_ENDPOINT=unix:", daemon_.api_socket(),
                                        " cli/kinsockctl capture -w - 2>/dev/null |"
                                        " tshark -l -r - -Y 'vsock.dst_port==5000 && vsock.op==4' 2>/dev/null >",
                                        out);
  FILE* const pipe = popen(line.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  // They talk until it is seen.
  const auto deadline = std::chrono::steady_clock::now() + testing::RunningDaemon::kPatience;
  while (Read(out).empty() && std::chrono::steady_clock::now() < deadline) Talk();
  EXPECT_THAT(Read(out), HasSubstr("Op: RW"));
  daemon_.Stop();  // ends the capture, and with it the pipe
  pclose(pipe);
}

TEST_F(CaptureCommandTest, WhatIsWrongHasItsExitCode) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    const char* complaint;
  };
  for (const Case& each : std::vector<Case>{{{"--filter", "prot=1"}, 1, "did you mean \"port\"?"},
                                            {{"--vm", "nobody"}, 3, "VM_NOT_FOUND"},
                                            {{"--payload"}, 5, "PAYLOAD_NOT_ALLOWED"},
                                            {{"--format", "text"}, 2, "--format"},
                                            {{"--duration", "long"}, 2, "--duration"},
                                            {{"-s", "10"}, 2, "--snap-length"},
                                            {{"-w", "/no/such/directory/x"}, 1, "No such file or directory"}}) {
    const auto ctl = Start(each.arguments);
    const int code = End(*ctl);
    EXPECT_THAT(ctl->Complaint(), HasSubstr(each.complaint));
    EXPECT_EQ(code, each.code) << ctl->Complaint();
  }
}

}  // namespace
}  // namespace kinsock
