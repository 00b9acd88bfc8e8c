// SPDX-License-Identifier: Apache-2.0
//
// Captures that end otherwise than was meant: the disk is full, who reads has gone, or the daemon has. Each says why in
// a line and has its exit code, and what was captured until then can be read.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "tests/capture/capture_contents.h"
#include "tests/cli/capture_fixture.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using testing::CaptureContents;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::ReadCapture;
using testing::RunningCtl;

// No file of a process that is started meanwhile may be longer.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limited{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_;
};

class CaptureEndTest : public testing::CaptureFixture {
 protected:
  std::string file() const { return daemon_ / "talk.pcapng"; }

  // A capture into that file, which has seen them talk.
  std::unique_ptr<RunningCtl> StartWithTalk() {
    auto ctl = Start({"-w", file()});
    Run([&] { return !Read(file()).empty(); });
    Talk();
    Run([&] { return ReadCapture(Read(file())).packets.size() >= 10; });
    return ctl;
  }

  void ExpectWholeFile() {
    const CaptureContents contents = ReadCapture(Read(file()));
    EXPECT_EQ(contents.fault, "");
    EXPECT_THAT(contents.Lines(), Contains("3:4:5000 op 1"));
    EXPECT_THAT(contents.Lines(), Contains("3:4:5000 op 5"));
  }
};

TEST_F(CaptureEndTest, AFileThatMayGrowNoMoreIsWholeUntilThere) {
  constexpr rlim_t kLimit = 4'000'000;
  std::unique_ptr<RunningCtl> ctl;
  {
    const FileLimit limit(kLimit);
    ctl = Start({"-w", file()});
  }
  Run([&] { return !Read(file()).empty(); });
  while (!ctl->code().has_value() && !HasFailure()) Talk();
  EXPECT_EQ(End(*ctl), 1);
  EXPECT_THAT(ctl->Complaint(), HasSubstr(" packets captured, 0 lost\n"));
  EXPECT_THAT(
      ctl->Complaint(),
      HasSubstr("talk.pcapng: File too large; what is there until then can be read\n  try: a place with more room"));
  EXPECT_LE(Read(file()).size(), kLimit);
  ExpectWholeFile();
}

TEST_F(CaptureEndTest, ADiskThatIsFullFromTheBeginning) {
  const auto ctl = Start({"-w", "/dev/full"});
  EXPECT_EQ(End(*ctl), 1);
  EXPECT_THAT(ctl->Complaint(), HasSubstr("kinsockctl: /dev/full: No space left on device\n  try: "));
}

TEST_F(CaptureEndTest, AReaderThatLeavesEndsIt) {
  const auto ctl = Start({});
  AwaitBegin(*ctl);
  ctl->TakeOutput().reset();
  EXPECT_TRUE(stage_.RunUntil([&] { return ctl->code().has_value(); }));
  EXPECT_EQ(ctl->code().value_or(-1000), 0) << ctl->Complaint();
}

TEST_F(CaptureEndTest, AReaderThatStopsDoesNotKeepItAlive) {
  const std::string path = daemon_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const UniqueFd reader(open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_GT(fcntl(reader.get(), F_SETPIPE_SZ, 4096), 0);
  const auto ctl = Start({"-w", path});
  const auto unread = [&] {
    int bytes = 0;
    ioctl(reader.get(), FIONREAD, &bytes);
    return bytes;
  };
  Run([&] { return unread() > 0; });
  for (int i = 0; i < 20; ++i) Talk();  // some times what the pipe holds
  Run([&] { return unread() > 2000; });
  // The first one asks it to end, which it would when it has written; the second one does not ask.
  Run([&] {
    ctl->Signal(SIGINT);
    return ctl->code().has_value();
  });
  EXPECT_THAT(ctl->code().value_or(-1000), ::testing::AnyOf(0, -SIGINT));
}

TEST_F(CaptureEndTest, ADaemonThatStopsLeavesAWholeFile) {
  const auto ctl = StartWithTalk();
  daemon_.Stop();
  EXPECT_EQ(End(*ctl), 6) << ctl->Complaint();
  EXPECT_THAT(ctl->Complaint(), HasSubstr(" packets captured, 0 lost\nkinsockctl: "));
  ExpectWholeFile();
}

TEST_F(CaptureEndTest, ADaemonThatIsKilledLeavesAWholeFile) {
  const auto ctl = StartWithTalk();
  daemon_.Kill();
  EXPECT_EQ(End(*ctl), 6) << ctl->Complaint();
  EXPECT_THAT(ctl->Complaint(), AllOf(HasSubstr(" packets captured, 0 lost\nkinsockctl: "),
                                      AnyOf(HasSubstr("no kinsockd answers at unix:"), HasSubstr(" broke off: "))));
  ExpectWholeFile();
}

}  // namespace
}  // namespace kinsock
