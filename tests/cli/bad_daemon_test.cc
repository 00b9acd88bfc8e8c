// SPDX-License-Identifier: Apache-2.0
//
// What kinsockctl says when there is no daemon, or none as it should be: that it is down, slow, older, not for you. The
// program runs in a process of its own; the peers that are broken are played here.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_callback.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "tests/cli/run_ctl.h"
#include "tests/server/running_daemon.h"
#include "tests/support/other_user.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::RunCtl;
using ::testing::StartsWith;

constexpr char kSomeVm[] = "a";

// What each command says and ends with at an endpoint where no daemon talks. All of them, since each asks in its way.
const std::vector<std::vector<std::string>>& Commands() {
  static const auto& commands = *new std::vector<std::vector<std::string>>{{"vm", "list"},
                                                                           {"vm", "list", "-o", "wide"},
                                                                           {"vm", "get", kSomeVm},
                                                                           {"vm", "create", "x"},
                                                                           {"vm", "delete", kSomeVm},
                                                                           {"vm", "set", kSomeVm, "--labels", "a=b"},
                                                                           {"vm", "drain", "a"},
                                                                           {"vm", "watch"},
                                                                           {"vm", "wait", kSomeVm, "--for=ACTIVE"},
                                                                           {"conn", "list"},
                                                                           {"conn", "watch"},
                                                                           {"conn", "reset", "1"},
                                                                           {"net", "list"},
                                                                           {"policy", "list"},
                                                                           {"policy", "test", "a", "b:1"},
                                                                           {"policy", "set", kSomeVm, "--deny"},
                                                                           {"net", "set", "a", "--default", "deny"},
                                                                           {"cid", "reserve"},
                                                                           {"forward", "get", "a"},
                                                                           {"vm", "resume", "a"},
                                                                           {"vm", "reset", "a"},
                                                                           {"trace", "a"},
                                                                           {"capture", "-w", "/dev/null"},
                                                                           {"ssh", "a"},
                                                                           {"cid", "list"},
                                                                           {"forward", "list"},
                                                                           {"stats"},
                                                                           {"stats", "--watch"},
                                                                           {"pairs"},
                                                                           {"top", "--count", "1"},
                                                                           {"top", "pairs", "-o", "json"},
                                                                           {"top", "conns", "-o", "yaml"},
                                                                           {"events"},
                                                                           {"events", "-f"},
                                                                           {"info"},
                                                                           {"config", "dump"},
                                                                           {"config", "check"},
                                                                           {"log-level", "info"},
                                                                           {"daemon", "drain"},
                                                                           {"daemon", "reload"},
                                                                           {"explain", kSomeVm, "host:1"},
                                                                           {"connect", "a", "80"},
                                                                           {"tunnel", "a", "80"},
                                                                           {"bench", "a", "80"},
                                                                           {"vmm-args", kSomeVm},
                                                                           {"socat", "a", "80"},
                                                                           {"listen", "a", "80"}};
  return commands;
}

std::string Line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += word + " ";
  return line;
}

TEST(BadDaemonTest, EveryCommandSaysThatNobodyAnswers) {
  for (const std::vector<std::string>& command : Commands()) {
    const Outcome outcome = RunCtl(command, {{"KINSOCK_ENDPOINT", "unix:/no/such/socket"}});
    EXPECT_EQ(outcome.code, 6) << Line(command);
    EXPECT_THAT(outcome.error,
                AllOf(StartsWith("kinsockctl: no kinsockd answers at unix:/no/such/socket: No such file"),
                      HasSubstr("\n  try: kinsockd --api unix:/no/such/socket")))
        << Line(command);
    EXPECT_EQ(outcome.out, "") << Line(command);
  }
}

class OddEndpointTest : public ::testing::Test {
 protected:
  Outcome List(const std::string& timeout = "10s") {
    return RunCtl({"vm", "list", "--timeout", timeout}, {{"KINSOCK_ENDPOINT", "unix:" + path_}});
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "api.sock";
};

TEST_F(OddEndpointTest, WhatIsThereInPlaceOfADaemonIsSaid) {
  const struct {
    const char* name;
    std::function<void()> make;
    const char* what;
    const char* next;
  } kCases[] = {
      {"a file", [&] { std::ofstream(path_) << "text"; }, ": it is a file, no socket\n", "  try: name another socket"},
      {"a directory", [&] { mkdir(path_.c_str(), 0700); }, ": it is a directory, no socket\n", "  try: name another"},
      {"a socket that was left behind", [&] { testing::ListenAt(path_).reset(); }, "who made the socket runs no more\n",
       "  try: systemctl status kinsock, or kinsockd --api unix:"},
      {"a link to nothing", [&] { EXPECT_EQ(symlink("/no/such", path_.c_str()), 0); }, ": No such file or directory\n",
       "  try: kinsockd --api unix:"},
  };
  for (const auto& a_case : kCases) {
    a_case.make();
    const Outcome outcome = List();
    EXPECT_EQ(outcome.code, 6) << a_case.name;
    EXPECT_THAT(outcome.error, AllOf(StartsWith("kinsockctl: no kinsockd answers at unix:" + path_),
                                     HasSubstr(a_case.what), HasSubstr(a_case.next)))
        << a_case.name;
    if (unlink(path_.c_str()) != 0) rmdir(path_.c_str());
  }
  EXPECT_EQ(RunCtl({"vm", "list", "--endpoint", "unix:" + std::string(200, 'x')}, {}).code, 2) << "no path of a socket";
}

TEST_F(OddEndpointTest, WhoTakesConnectionsAndSaysNothingIsNotWaitedForWithoutEnd) {
  const UniqueFd listener = testing::ListenAt(path_);
  const Outcome outcome = List("300ms");
  EXPECT_EQ(outcome.code, 124);
  EXPECT_THAT(
      outcome.error,
      AllOf(StartsWith("kinsockctl: what listens at unix:" + path_ + " takes connections, and has not said a word"),
            HasSubstr("\n  try: whether it is a kinsockd, and stopped or busy: ps -C kinsockd")));
}

TEST_F(OddEndpointTest, AWaitThatNobodyAnswersBlamesTheDaemonAndNotTheVm) {
  const UniqueFd listener = testing::ListenAt(path_);
  const Outcome outcome =
      RunCtl({"vm", "wait", "a", "--for=ACTIVE", "--timeout", "300ms"}, {{"KINSOCK_ENDPOINT", "unix:" + path_}});
  EXPECT_EQ(outcome.code, 124);
  EXPECT_THAT(outcome.error, HasSubstr(" takes connections, and has not said a word in time\n"));
}

TEST_F(OddEndpointTest, WhoTakesNoMoreConnectionsIsTooBusy) {
  const UniqueFd listener = testing::ListenAt(path_, 0);
  std::vector<UniqueFd> waiting;
  do {
    waiting.push_back(testing::NewUnixSocket());
  } while (testing::TryConnect(waiting.back(), path_));
  const Outcome outcome = List("5s");
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.error,
              AllOf(HasSubstr("takes no connections: too many wait for it already\n"), HasSubstr("  try: ")));
}

TEST_F(OddEndpointTest, WhoSpeaksSomethingElseIsSaidToBreakOff) {
  const UniqueFd listener = testing::ListenAt(path_);
  const pid_t pid = fork();
  if (pid == 0) {
    for (;;) {
      pollfd caller{listener.get(), POLLIN, 0};
      poll(&caller, 1, -1);
      const int fd = accept(listener.get(), nullptr, nullptr);
      if (write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) < 0) _exit(1);
      close(fd);
    }
  }
  const Outcome outcome = List();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.error, StartsWith("kinsockctl: the daemon at unix:" + path_ + " broke off: "));
}

// Runs kinsockctl as nobody: 0 or more is its exit code. Its standard error is left in `error`.
int RunAsNobody(const std::string& endpoint, std::string& error) {
  const UniqueFd program(open(testing::kCtl, O_RDONLY));  // nobody may walk to it
  int pipe_fds[2];
  EXPECT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe_fds[1], STDERR_FILENO);
    constexpr uid_t kNobody = 65534;
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(99);
    char name[] = "kinsockctl", flag[] = "--endpoint", vm[] = "vm", list[] = "list";
    std::string where = endpoint;
    char* argv[] = {name, vm, list, flag, where.data(), nullptr};
    char* envp[] = {nullptr};
    fexecve(program.get(), argv, envp);
    _exit(98);
  }
  close(pipe_fds[1]);
  char chunk[512];
  for (ssize_t bytes; (bytes = read(pipe_fds[0], chunk, sizeof(chunk))) > 0;) {
    error.append(chunk, static_cast<size_t>(bytes));
  }
  close(pipe_fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(OddEndpointTest, WhoMayNotIsToldWhatStopsHim) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "needs to be root outside of a sandbox";
  const UniqueFd listener = testing::ListenAt(path_);
  ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
  std::string error;
  EXPECT_EQ(RunAsNobody("unix:" + path_, error), 5) << error;
  EXPECT_THAT(error, AllOf(HasSubstr("unix:" + path_ + " does not let you in: Permission denied\n"),
                           HasSubstr("  try: namei -l " + path_)));
}

// A daemon of an earlier release: it tells who it is, and knows nothing else.
class OldDaemon final : public v1::AdminService::Service {
 public:
  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*, v1::Info* info) override {
    info->set_version("0.0.1");
    return grpc::Status::OK;
  }
};

TEST_F(OddEndpointTest, AnOlderDaemonIsSaidToBeOne) {
  OldDaemon old;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path_, grpc::InsecureServerCredentials());
  builder.RegisterService(&old);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  for (const std::vector<std::string>& command : Commands()) {
    if (command[0] == "info") continue;
    const Outcome outcome = RunCtl(command, {{"KINSOCK_ENDPOINT", "unix:" + path_}});
    EXPECT_EQ(outcome.code, 1) << Line(command);
    EXPECT_THAT(outcome.error, AllOf(HasSubstr("kinsockctl: the daemon at unix:" + path_ +
                                               " is older than this command: version 0.0.1 has no "),
                                     HasSubstr("\n  try: upgrade kinsockd; this kinsockctl is ")))
        << Line(command);
  }
  EXPECT_THAT(List().error, HasSubstr("has no VmService.ListVms\n"));
  const Outcome applied =
      RunCtl({"apply", "-f", "-"}, {{"KINSOCK_ENDPOINT", "unix:" + path_}}, "[{name: a}, {name: b}]");
  EXPECT_EQ(applied.code, 1);
  EXPECT_THAT(applied.error, HasSubstr("has no VmService.GetVm\n"));
}

// A daemon that takes calls, and answers none of them.
class SlowDaemon final : public v1::VmService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListVms(grpc::CallbackServerContext*, const v1::ListVmsRequest*,
                                    v1::ListVmsResponse*) override {
    struct Never final : grpc::ServerUnaryReactor {
      void OnCancel() override { Finish(grpc::Status::CANCELLED); }
      void OnDone() override { delete this; }
    };
    return new Never;
  }
};

TEST_F(OddEndpointTest, ADaemonThatIsSlowIsSaidToBe) {
  SlowDaemon slow;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path_, grpc::InsecureServerCredentials());
  builder.RegisterService(&slow);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const Outcome outcome = List("2s");
  EXPECT_EQ(outcome.code, 124);
  EXPECT_EQ(outcome.error, "kinsockctl: not done in time: VmService.ListVms\n  try: a longer --timeout\n");
}

TEST(BadOutputTest, WhoReadsNoMoreEndsItWithoutAWord) {
  testing::RunningDaemon daemon;
  ASSERT_TRUE(daemon.Create("a").ok());
  const testing::Environment here{{"KINSOCK_ENDPOINT", "unix:" + daemon.api_socket()}};
  const std::string ctl = testing::kCtl;
  const auto shell = [&](const std::string& line) {
    return testing::RunProgram("/bin/bash", {"-o", "pipefail", "-c", line}, here);
  };
  const Outcome watched = shell(ctl + " vm watch | head -n 1");
  EXPECT_THAT(watched.out, StartsWith("ADDED  a  LISTENING"));
  EXPECT_EQ(watched.error, "");
  for (const char* line :
       {" vm list >&-", " vm list >/dev/full", " vm list -o json >/dev/full", " --help >/dev/full",
        " vm create --help >&-", " --version >&-", " completion bash >/dev/full", " top -n 1 -o json >/dev/full"}) {
    const Outcome lost = shell(ctl + line);
    EXPECT_EQ(lost.code, 1) << line;
    EXPECT_THAT(lost.error, StartsWith("kinsockctl: standard output takes no more\n  try: ")) << line;
  }
}

TEST(VerboseTest, EachCallIsTold) {
  testing::RunningDaemon daemon;
  const Outcome outcome = RunCtl({"vm", "get", "a", "-v"}, {{"KINSOCK_ENDPOINT", "unix:" + daemon.api_socket()}});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.error, ::testing::ContainsRegex("^kinsockctl: VmService.GetVm: NOT_FOUND in [0-9.]+ ms\n"));
}

}  // namespace
}  // namespace kinsock
