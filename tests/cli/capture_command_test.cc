// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl capture: the program and a daemon in processes of their own, simulated guests in this one, and tshark that
// reads what it wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/capture/capture_contents.h"
#include "tests/cli/capture_fixture.h"
#include "tests/server/running_daemon.h"

namespace kinsock {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ReadCapture;

class CaptureCommandTest : public testing::CaptureFixture {};

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

// As the documentation has it.
TEST_F(CaptureCommandTest, TsharkReadsItThroughAPipe) {
  const std::string out = daemon_ / "seen";
  const std::string line = absl::StrCat("HOME=", daemon_ / "", " KINSOCK_ENDPOINT=", endpoint(),
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

// What is wrong with the command line is said without a daemon; the rest is for it to say.
TEST_F(CaptureCommandTest, WhatIsWrongHasItsExitCode) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    const char* complaint;
  };
  const std::vector<Case> usage{{{"--filter", "prot=1"}, 2, "--filter: \"prot\" is nothing to filter by"},
                                {{"--filter", "op=rw port=x"}, 2, "--filter: \"x\" is no port"},
                                {{"--filter", "tcp port 80"}, 2, "--filter: \"tcp\" is no term"},
                                {{"--filter", std::string(2000, 'x')}, 2, "--filter: has 2000 bytes"},
                                {{"--vm", "a b"}, 2, "--vm: \"a b\" is no name of a VM"},
                                {{"--vm", ""}, 2, "--vm: \"\" is no name of a VM"},
                                {{"--format", "text"}, 2, "--format"},
                                {{"--duration", "long"}, 2, "--duration: \"long\" is no time up to 24 h"},
                                {{"--duration", "0s"}, 2, "--duration: \"0s\""},
                                {{"--duration", "25h"}, 2, "--duration: \"25h\""},
                                {{"-s", "10"}, 2, "--snap-length"},
                                {{"-s", "65613"}, 2, "--snap-length"},
                                {{"-c", "-1"}, 2, "--count"},
                                {{"-w", ""}, 2, "--write: name a file"}};
  const std::vector<Case> asked{
      {{"--vm", "nobody"}, 3, "VM_NOT_FOUND"},
      {{"--filter", "network=nowhere"}, 3, "NETWORK_NOT_FOUND"},
      {{"--payload"}, 5, "PAYLOAD_NOT_ALLOWED"},
      {{"-w", "/no/such/directory/x"}, 1, "/no/such/directory/x: No such file or directory\n"},
      {{"-w", "/"}, 1, "/: Is a directory\n"}};
  const auto check = [&](const std::vector<Case>& cases) {
    for (const Case& each : cases) {
      const auto ctl = Start(each.arguments);
      const int code = End(*ctl);
      EXPECT_THAT(ctl->Complaint(), HasSubstr(each.complaint));
      if (each.code == 2) EXPECT_THAT(ctl->Complaint(), HasSubstr("\n  try: "));
      EXPECT_EQ(code, each.code) << ctl->Complaint();
      EXPECT_EQ(ctl->printed(), "");
    }
  };
  check(usage);
  check(asked);
  daemon_.Stop();
  check(usage);
}

}  // namespace
}  // namespace kinsock
