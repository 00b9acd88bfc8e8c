// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_PROCESS_H_
#define KINSOCK_TESTS_SUPPORT_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace kinsock::testing {

// A program under test in a process of its own. It cannot outlive the test: it dies with the thread that started
// it (PR_SET_PDEATHSIG) and with this object. One thread.
class Process {
 public:
  // Starts `argv[0]` (a path, or a name looked up in PATH) with its standard error kept aside and its standard
  // output thrown away.
  explicit Process(const std::vector<std::string>& argv);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }

  bool running();

  // What it wrote to standard error so far.
  std::string Stderr() const;

  void Signal(int number);

  // SIGTERM, and SIGKILL when it has not ended after `patience`. Returns the wait status.
  int Stop(std::chrono::milliseconds patience = std::chrono::seconds(5));

  // Waits for its end: the wait status, or nothing when it still runs after `patience`.
  std::optional<int> Wait(std::chrono::milliseconds patience);

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd stderr_;  // a memfd: the program never blocks on a reader
  std::optional<int> status_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_PROCESS_H_
