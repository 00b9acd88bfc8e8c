// SPDX-License-Identifier: Apache-2.0
//
// Runs shell commands for the test harness. It is the guest's process 1 and talks over a virtio-serial port, so that
// it goes on answering while vsock is being broken. Lines of words; data in hexadecimal:
//
//     harness: run BOOT ID COMMAND        guest: hello BOOT                (once, when it is ready)
//              signal BOOT ID NUMBER             out ID DATA | err ID DATA  (as it is written)
//                                                exit ID STATUS             (a signal N counts as 128 + N)
//
// BOOT is new at each boot: what was sent to the guest before it rebooted is not run after it. Commands run at the same
// time, each in a process group of its own.
//
// Thread: one.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/report.h"

namespace kinsock::guest {
namespace {

constexpr size_t kReadBytes = 4096;
constexpr int64_t kPortDeadlineMs = 10'000;

// A line longer than this is no command of ours.
constexpr size_t kMaxLine = 1 << 20;

std::string ToHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += {kDigits[value >> 4], kDigits[value & 15]};
  }
  return text;
}

std::string FromHex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::strtoul(std::string(text.substr(i, 2)).c_str(), nullptr, 16));
  }
  return bytes;
}

std::string RandomName() {
  uint64_t random = 0;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) Fail("random", {{"errno", ErrnoName(errno)}});
  return std::to_string(random);
}

// The port's device node appears some time after its driver was loaded.
int OpenPort(const std::string& path) {
  const int64_t deadline = NowMs() + kPortDeadlineMs;
  while (true) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    if (NowMs() >= deadline) Fail("port", {{"path", path}, {"errno", ErrnoName(errno)}});
    poll(nullptr, 0, 10);
  }
}

int ChildSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

[[noreturn]] void BecomeShell(const std::string& command, int out, int err) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
  _exit(127);
}

class Agent {
 public:
  explicit Agent(const std::string& port_path)
      : port_(OpenPort(port_path)), signals_(ChildSignals()), boot_(RandomName()) {}

  [[noreturn]] void Serve();

 private:
  struct Job {
    pid_t pid;
    int out;  // -1: ended
    int err;
    std::optional<int> status;
  };

  void ReadPort();
  void Obey(const std::string& line);
  void Start(const std::string& id, const std::string& command);
  void ReapChildren();
  void Forward(const std::string& id, const char* kind, int& fd);
  void ReportEnded();
  void Say(const std::string& line);

  const int port_;
  const int signals_;
  const std::string boot_;
  std::string line_;  // an unfinished line from the port
  std::map<std::string, Job> jobs_;
};

void Agent::Serve() {
  Say("\nhello " + boot_);  // the newline ends whatever was being said when the guest was reset
  while (true) {
    std::vector<pollfd> waits = {{port_, POLLIN, 0}, {signals_, POLLIN, 0}};
    for (const auto& [id, job] : jobs_) {
      waits.push_back({job.out, POLLIN, 0});  // poll ignores -1
      waits.push_back({job.err, POLLIN, 0});
    }
    if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) Fail("poll", {{"errno", ErrnoName(errno)}});
    size_t at = 2;
    for (auto& [id, job] : jobs_) {
      if (waits[at++].revents != 0) Forward(id, "out", job.out);
      if (waits[at++].revents != 0) Forward(id, "err", job.err);
    }
    if (waits[1].revents != 0) ReapChildren();
    ReportEnded();
    if (waits[0].revents != 0) ReadPort();
  }
}

void Agent::ReadPort() {
  char text[kReadBytes];
  const ssize_t bytes = read(port_, text, sizeof(text));
  if (bytes <= 0) {  // the harness is gone: nobody needs this guest any more
    reboot(RB_POWER_OFF);
    std::_Exit(EXIT_SUCCESS);
  }
  line_.append(text, static_cast<size_t>(bytes));
  for (size_t end; (end = line_.find('\n')) != std::string::npos; line_.erase(0, end + 1)) Obey(line_.substr(0, end));
  if (line_.size() > kMaxLine) line_.clear();
}

void Agent::Obey(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  std::string boot;
  std::string id;
  std::string argument;
  words >> verb >> boot >> id >> argument;
  if (boot != boot_) return;
  if (verb == "run") Start(id, FromHex(argument));
  if (verb != "signal") return;
  const auto job = jobs_.find(id);
  if (job != jobs_.end()) kill(-job->second.pid, std::atoi(argument.c_str()));
}

void Agent::Start(const std::string& id, const std::string& command) {
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) Fail("pipe", {{"errno", ErrnoName(errno)}});
  const pid_t pid = fork();
  if (pid < 0) Fail("fork", {{"errno", ErrnoName(errno)}});
  if (pid == 0) BecomeShell(command, out[1], err[1]);
  setpgid(pid, pid);  // here too: whichever is first, a signal finds the group
  close(out[1]);
  close(err[1]);
  jobs_.emplace(id, Job{pid, out[0], err[0], std::nullopt});
}

void Agent::Forward(const std::string& id, const char* kind, int& fd) {
  char data[kReadBytes];
  const ssize_t bytes = read(fd, data, sizeof(data));
  if (bytes > 0) {
    Say(std::string(kind) + " " + id + " " + ToHex({data, static_cast<size_t>(bytes)}));
    return;
  }
  close(fd);
  fd = -1;
}

// Process 1 inherits orphans too; those are nobody's job.
void Agent::ReapChildren() {
  signalfd_siginfo ignored;
  while (read(signals_, &ignored, sizeof(ignored)) > 0) continue;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (auto& [id, job] : jobs_) {
      if (job.pid == pid) job.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}

void Agent::ReportEnded() {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const auto& [id, state] = *job;
    if (!state.status || state.out >= 0 || state.err >= 0) {
      ++job;
      continue;
    }
    Say("exit " + id + " " + std::to_string(*state.status));
    job = jobs_.erase(job);
  }
}

void Agent::Say(const std::string& line) {
  const std::string text = line + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t bytes = write(port_, text.data() + done, text.size() - done);
    if (bytes < 0 && errno != EINTR) Fail("port", {{"errno", ErrnoName(errno)}});
    if (bytes > 0) done += static_cast<size_t>(bytes);
  }
}

}  // namespace

int ServeHarness(const Options& options) { Agent(options.path).Serve(); }

}  // namespace kinsock::guest
