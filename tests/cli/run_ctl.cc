// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/run_ctl.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/unique_fd.h"
#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

constexpr int kPatienceMs = 60'000;

std::string ContentsOf(const UniqueFd& file) {
  struct stat found;
  if (fstat(file.get(), &found) != 0) return "";
  std::string text(static_cast<size_t>(found.st_size), '\0');
  return pread(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) ? text : "";
}

UniqueFd MemoryFile(const char* name, const std::string& contents = "") {
  UniqueFd file(memfd_create(name, MFD_CLOEXEC));
  Require(write(file.get(), contents.data(), contents.size()) == static_cast<ssize_t>(contents.size()), "no file");
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

// Starts a program, in a session of its own when `own_session`.
pid_t Spawn(const std::string& program, const std::vector<std::string>& arguments, const Environment& environment,
            int in, int out, int error, bool own_session) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, error, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  if (own_session) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::vector<std::string> words{program}, settings;
  words.insert(words.end(), arguments.begin(), arguments.end());
  Environment all = environment;
  const char* const path = std::getenv("PATH");
  all.emplace("PATH", path == nullptr ? "/usr/bin:/bin" : path);
  for (const auto& [name, value] : all) settings.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& setting : settings) envp.push_back(setting.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t pid = -1;
  Require(posix_spawnp(&pid, program.c_str(), &files, &attributes, argv.data(), envp.data()) == 0, "no program");
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return pid;
}

int CodeOf(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

}  // namespace

Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const Environment& environment, const std::string& input) {
  const UniqueFd in = MemoryFile("in", input), out = MemoryFile("out"), error = MemoryFile("error");
  const pid_t pid = Spawn(program, arguments, environment, in.get(), out.get(), error.get(), false);
  Outcome outcome;
  outcome.code = CodeOf(pid);
  outcome.out = ContentsOf(out);
  outcome.error = ContentsOf(error);
  return outcome;
}

Outcome RunAtTerminal(const std::string& program, const std::vector<std::string>& arguments,
                      const Environment& environment, uint16_t columns, bool all, const std::vector<Typing>& script) {
  const UniqueFd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  Require(terminal.valid() && grantpt(terminal.get()) == 0 && unlockpt(terminal.get()) == 0, "no terminal");
  UniqueFd side(open(ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  Require(side.valid(), "no terminal");
  const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  ioctl(terminal.get(), TIOCSWINSZ, &size);
  const UniqueFd nothing = MemoryFile("in"), error = MemoryFile("error");
  const int in = all ? side.get() : nothing.get();
  const pid_t pid = Spawn(program, arguments, environment, in, side.get(), all ? side.get() : error.get(), all);
  side.reset();
  Outcome outcome;
  size_t seen = 0, next = 0;
  char chunk[4096];
  for (;;) {
    pollfd output{terminal.get(), POLLIN, 0};
    if (poll(&output, 1, kPatienceMs) == 0) kill(pid, SIGKILL);
    const ssize_t bytes = read(terminal.get(), chunk, sizeof(chunk));
    if (bytes <= 0) break;  // nobody has the other side any more
    outcome.out.append(chunk, static_cast<size_t>(bytes));
    for (; next < script.size(); ++next) {
      const size_t found = outcome.out.find(script[next].at, seen);
      if (found == std::string::npos) break;
      seen = found + script[next].at.size();
      const std::string& text = script[next].text;
      Require(write(terminal.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()), "nothing is typed");
    }
  }
  outcome.code = CodeOf(pid);
  outcome.error = ContentsOf(error);
  return outcome;
}

}  // namespace kinsock::testing
