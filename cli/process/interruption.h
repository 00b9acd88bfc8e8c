// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_PROCESS_INTERRUPTION_H_
#define KINSOCK_CLI_PROCESS_INTERRUPTION_H_

#include <atomic>
#include <functional>
#include <thread>

#include "base/unique_fd.h"

namespace kinsock {

// Notices that a command which has no end of its own should come to one: SIGINT or SIGTERM, or nobody reads any more
// what it writes. It is made before other threads are, so that no signal finds one of those. From then on writing to a
// closed pipe is an error like others. A second signal ends the process, as it always does: what writes may wait for a
// reader that does not read.
class Interruption {
 public:
  // `output`: where the command writes; -1: not looked at. `on_end`: called once, on a thread of its own.
  Interruption(int output, std::function<void()> on_end);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Whether `on_end` was called, or is being called.
  bool happened() const { return happened_.load(); }

 private:
  void Await(int output);

  const std::function<void()> on_end_;
  UniqueFd signals_;
  UniqueFd over_;  // eventfd: the command has ended by itself
  std::atomic<bool> happened_{false};
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_PROCESS_INTERRUPTION_H_
