// SPDX-License-Identifier: Apache-2.0
#include "cli/process/interruption.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace kinsock {

namespace {

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

Interruption::Interruption(int output, std::function<void()> on_end)
    : on_end_(std::move(on_end)), over_(eventfd(0, EFD_CLOEXEC)) {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t ending = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  signals_.reset(signalfd(-1, &ending, SFD_CLOEXEC));
  thread_ = std::thread([this, output] { Await(output); });
}

Interruption::~Interruption() {
  eventfd_write(over_.get(), 1);
  thread_.join();
}

void Interruption::Await(int output) {
  // Of a pipe without a reader, or a socket without a peer, poll() tells without being asked for anything.
  pollfd awaited[] = {{over_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {output, 0, 0}};
  while (poll(awaited, 3, -1) < 0 && errno == EINTR) continue;
  if (awaited[0].revents != 0) return;
  happened_ = true;
  signalfd_siginfo first;
  if (awaited[1].revents != 0 && read(signals_.get(), &first, sizeof(first)) < 0) return;
  on_end_();
  const sigset_t ending = EndingSignals();
  pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
  while (poll(awaited, 1, -1) < 0 && errno == EINTR) continue;
}

}  // namespace kinsock
