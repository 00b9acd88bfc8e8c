// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

// Runs in the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void BecomeProgram(char* const* argv, int error_output, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the parent died before the line above
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  dup2(error_output, STDERR_FILENO);
  execvp(argv[0], argv);
  _exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& argv) : stderr_(memfd_create("stderr", MFD_CLOEXEC)) {
  Require(stderr_.valid(), "no memfd for the standard error of a process");
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  // A shared offset would make our reads move its writes: O_APPEND keeps them at the end.
  fcntl(stderr_.get(), F_SETFL, O_APPEND);
  const pid_t parent = getpid();
  pid_ = fork();
  Require(pid_ >= 0, "fork failed");
  if (pid_ == 0) BecomeProgram(words.data(), stderr_.get(), parent);
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  Require(pidfd_.valid(), "pidfd_open failed");
}

Process::~Process() {
  if (!running()) return;
  Signal(SIGKILL);
  Wait(std::chrono::seconds(10));
}

bool Process::running() { return !Wait(std::chrono::milliseconds(0)).has_value(); }

std::string Process::Stderr() const {
  std::string text;
  char chunk[4096];
  ssize_t size;
  while ((size = pread(stderr_.get(), chunk, sizeof(chunk), static_cast<off_t>(text.size()))) > 0) {
    text.append(chunk, static_cast<size_t>(size));
  }
  return text;
}

void Process::Signal(int number) {
  if (!status_.has_value()) kill(pid_, number);
}

std::optional<int> Process::Wait(std::chrono::milliseconds patience) {
  if (status_.has_value()) return status_;
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (poll(&ended, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
  int status = 0;
  Require(waitpid(pid_, &status, 0) == pid_, "waitpid failed");
  status_ = status;
  return status_;
}

int Process::Stop(std::chrono::milliseconds patience) {
  Signal(SIGTERM);
  if (std::optional<int> status = Wait(patience)) return *status;
  Signal(SIGKILL);
  return Wait(std::chrono::seconds(10)).value_or(-1);
}

}  // namespace kinsock::testing
