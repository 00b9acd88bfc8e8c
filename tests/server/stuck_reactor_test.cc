// SPDX-License-Identifier: Apache-2.0
//
// A kinsockd of which one thread of the data plane is stopped, as if it hung: who watches over it hears of that.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/server/daemon_process.h"
#include "tests/server/notify_socket.h"
#include "tests/web/http_client.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;
using ::testing::Not;

// The thread of that name; 0: there is none.
pid_t ThreadOf(pid_t process, const std::string& name) {
  const std::string tasks = absl::StrCat("/proc/", process, "/task");
  DIR* const directory = opendir(tasks.c_str());
  pid_t found = 0;
  while (const dirent* entry = directory != nullptr ? readdir(directory) : nullptr) {
    std::string comm;
    std::getline(std::ifstream(absl::StrCat(tasks, "/", entry->d_name, "/comm")), comm);
    if (comm == name) found = static_cast<pid_t>(std::atoi(entry->d_name));
  }
  if (directory != nullptr) closedir(directory);
  return found;
}

// Stops one thread of another process, and nothing else of it, until it goes. One thread of the test.
class StoppedThread {
 public:
  explicit StoppedThread(pid_t thread) : thread_(thread) {
    stopped_ = ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) == 0 &&
               ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0 && waitpid(thread, nullptr, __WALL) == thread;
  }
  ~StoppedThread() {
    // One that has ended with its process is kept for us until we look.
    if (ptrace(PTRACE_DETACH, thread_, nullptr, nullptr) != 0) waitpid(thread_, nullptr, __WALL);
  }
  StoppedThread(const StoppedThread&) = delete;
  StoppedThread& operator=(const StoppedThread&) = delete;

  bool stopped() const { return stopped_; }

 private:
  const pid_t thread_;
  bool stopped_;
};

class StuckReactorTest : public ::testing::Test {
 protected:
  // What `path` answers when it is `status` at last.
  HttpAnswer AwaitStatus(const std::string& path, int status) {
    HttpAnswer answer;
    for (int tries = 0; tries < 600; ++tries) {
      answer = http_.Get(path);
      if (answer.status == status) return answer;
      // Who reads nothing here makes the daemon wait: the socket holds ten messages.
      manager_.Collect(std::chrono::milliseconds(100));
    }
    ADD_FAILURE() << path << " is still " << answer.status << ": " << answer.body;
    return answer;
  }

  testing::NotifySocket manager_{std::chrono::milliseconds(300)};
  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
  const HttpClient http_{daemon_ / "http.sock"};
};

TEST_F(StuckReactorTest, IsToldByLivezAndNoLongerFeedsTheWatchdog) {
  ASSERT_TRUE(daemon_.Start({"--http", "unix:" + daemon_ / "http.sock", "--reactors", "2"})) << daemon_.errors();
  EXPECT_NE(manager_.Await("WATCHDOG=1"), "");
  EXPECT_EQ(http_.Get("/livez").status, 200);
  {
    const StoppedThread reactor(ThreadOf(daemon_.pid(), "reactor-1"));
    ASSERT_TRUE(reactor.stopped()) << "this test needs ptrace";
    const HttpAnswer live = AwaitStatus("/livez", 503);
    EXPECT_THAT(live.body, HasSubstr("[-] reactor-1: has not gone round for "));
    EXPECT_THAT(live.body, HasSubstr("[+] reactor-0\n"));
    EXPECT_THAT(live.body, HasSubstr("[+] main\n"));
    const HttpAnswer ready = http_.Get("/readyz?verbose");
    EXPECT_EQ(ready.status, 503);
    EXPECT_THAT(ready.body, HasSubstr("[-] reactor-1: "));
    EXPECT_THAT(ready.body, HasSubstr("[+] accepts VMs\n"));
    // It would have been fed ten times.
    manager_.Discard();
    EXPECT_THAT(manager_.Collect(std::chrono::seconds(1)), Not(HasSubstr("WATCHDOG=1")));
    EXPECT_THAT(http_.Get("/metrics").body, HasSubstr("kinsock_reactor_silent_seconds{reactor=\"1\"} "));
    EXPECT_THAT(daemon_.errors(), HasSubstr("dataplane.stuck"));
    EXPECT_THAT(daemon_.errors(), HasSubstr("watchdog.withheld"));
  }
  AwaitStatus("/livez", 200);
  EXPECT_NE(manager_.Await("WATCHDOG=1"), "") << "it has come to itself";
}

TEST_F(StuckReactorTest, DoesNotKeepTheProcessAlive) {
  ASSERT_TRUE(daemon_.Start({"--reactors", "2"})) << daemon_.errors();
  {
    const StoppedThread reactor(ThreadOf(daemon_.pid(), "reactor-1"));
    ASSERT_TRUE(reactor.stopped()) << "this test needs ptrace";
    ASSERT_EQ(kill(daemon_.pid(), SIGTERM), 0);
    for (int tries = 0; tries < 600 && !absl::StrContains(daemon_.errors(), "reactor.stuck"); ++tries) {
      manager_.Collect(std::chrono::milliseconds(100));
    }
    EXPECT_THAT(daemon_.errors(), HasSubstr("reactor.stuck"));
  }
  daemon_.Stop();  // waits for the end
}

}  // namespace
}  // namespace kinsock
