// SPDX-License-Identifier: Apache-2.0
#include "server/host/process.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "server/host/log.h"

namespace kinsock {
namespace {

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

void PrepareProcess() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  umask(0007);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on files is an error of the write
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void ReturnFreeMemory() {
  // Less than this is what the next burst of calls takes anyway.
  constexpr size_t kWorthWhile = 64u << 20;
  if (mallinfo2().fordblks > kWorthWhile) malloc_trim(0);
}

void StandBehindReactors() {
  // One processor then goes to a reactor for 3 parts, and for 1 to a thread of the API.
  constexpr int kNicenessMore = 5;
  // Of this thread alone; what it starts inherits it. Asking for less cannot be refused.
  setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kNicenessMore);
}

SignalWatch::SignalWatch(EventLoop& loop, std::function<void()> on_stop, std::function<void()> on_reload)
    : loop_(loop), on_stop_(std::move(on_stop)), on_reload_(std::move(on_reload)) {}

SignalWatch::~SignalWatch() {
  if (fd_.valid()) loop_.Forget(fd_.get(), *this);
}

absl::Status SignalWatch::Start() {
  const sigset_t signals = WatchedSignals();
  fd_.reset(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_.valid()) return absl::ErrnoToStatus(errno, "signalfd");
  return loop_.Watch(fd_.get(), EPOLLIN, *this);
}

void SignalWatch::OnReady(uint32_t) {
  signalfd_siginfo info;
  while (read(fd_.get(), &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGHUP) {
      Log(LogLevel::kInfo, "signal.reload").With("signal", "SIGHUP").With("pid", info.ssi_pid);
      on_reload_();
    } else {
      Log(LogLevel::kInfo, "signal.stop")
          .With("signal", strsignal(static_cast<int>(info.ssi_signo)))
          .With("pid", info.ssi_pid);
      on_stop_();
    }
  }
}

}  // namespace kinsock
