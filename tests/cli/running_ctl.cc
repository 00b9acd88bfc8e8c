// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/running_ctl.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

std::pair<UniqueFd, UniqueFd> Pair() {
  int fds[2] = {-1, -1};
  Require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "no pair of sockets");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace

RunningCtl::RunningCtl(Stage& stage, const std::string& endpoint, std::vector<std::string> arguments)
    : stage_(stage), error_(memfd_create("error", MFD_CLOEXEC)) {
  auto [input, its_input] = Pair();
  auto [output, its_output] = Pair();
  input_ = std::move(input);
  output_ = std::move(output);
  fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  std::string program = "cli/kinsockctl", setting = "KINSOCK_ENDPOINT=" + endpoint, path = "PATH=/usr/bin:/bin";
  std::vector<char*> argv{program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  char* envp[] = {setting.data(), path.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, its_input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, its_output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, error_.get(), STDERR_FILENO);
  Require(posix_spawn(&pid_, program.c_str(), &files, nullptr, argv.data(), envp) == 0, "no kinsockctl");
  posix_spawn_file_actions_destroy(&files);
  stage_.Enter(*this);
}

RunningCtl::~RunningCtl() {
  stage_.Leave(*this);
  if (code_.has_value()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void RunningCtl::Type(std::string_view text) {
  Require(send(input_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()),
          "kinsockctl does not read");
}

void RunningCtl::Signal(int number) {
  if (!code_.has_value()) kill(pid_, number);
}

std::string RunningCtl::Complaint() const {
  char text[4096];
  const ssize_t size = pread(error_.get(), text, sizeof(text), 0);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

UniqueFd RunningCtl::TakeOutput() {
  fcntl(output_.get(), F_SETFL, 0);
  return std::move(output_);
}

bool RunningCtl::Poll() {
  bool happened = false;
  char chunk[4096];
  while (output_.valid() && !output_ended_) {
    const ssize_t size = read(output_.get(), chunk, sizeof(chunk));
    if (size < 0) break;
    happened = true;
    output_ended_ = size == 0;
    printed_.append(chunk, static_cast<size_t>(size));
  }
  int status = 0;
  if (!code_.has_value() && waitpid(pid_, &status, WNOHANG) == pid_) {
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    happened = true;
  }
  return happened;
}

void RunningCtl::AppendAwaited(std::vector<pollfd>& fds) const {
  if (output_.valid() && !output_ended_) fds.push_back({output_.get(), POLLIN, 0});
}

std::string RunningCtl::Describe() const {
  return "kinsockctl " + (code_.has_value() ? "ended with " + std::to_string(*code_) : std::string("runs")) +
         ", printed \"" + printed_ + "\", complained \"" + Complaint() + "\"";
}

}  // namespace kinsock::testing
