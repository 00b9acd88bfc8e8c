// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_PROCESS_H_
#define KINSOCK_SERVER_HOST_PROCESS_H_

#include <signal.h>

#include <functional>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace kinsock {

// What the daemon arranges with the machine for its whole life, before it starts a thread: as many descriptors as
// the hard limit allows, files that only its user and group can use, no death by SIGPIPE or SIGXFSZ, and the signals
// that SignalWatch takes blocked in all threads.
void PrepareProcess();

// Gives memory that is free, but that the allocator keeps, back to the machine when it is a lot: after a flood of calls
// that is gigabytes. Takes milliseconds then. Any thread.
void ReturnFreeMemory();

// Lets the calling thread, and all that it starts from now on, have a processor only after those that it started
// before: calls to the API and over HTTP, however many, take what the reactors leave.
void StandBehindReactors();

// Signals as events of a loop: SIGTERM and SIGINT ask to stop; SIGHUP to read the configuration again. Thread: the
// loop's.
class SignalWatch final : public FdHandler {
 public:
  // After PrepareProcess(). Both may be called more than once.
  SignalWatch(EventLoop& loop, std::function<void()> on_stop, std::function<void()> on_reload);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  absl::Status Start();

  // Calls back for what has come, as the loop would, while somebody keeps it from going round.
  void Look() { OnReady(0); }

  void OnReady(uint32_t events) override;

 private:
  EventLoop& loop_;
  const std::function<void()> on_stop_;
  const std::function<void()> on_reload_;
  UniqueFd fd_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_PROCESS_H_
