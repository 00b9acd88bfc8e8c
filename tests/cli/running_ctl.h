// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CLI_RUNNING_CTL_H_
#define KINSOCK_TESTS_CLI_RUNNING_CTL_H_

#include <poll.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// A kinsockctl that runs while the guests of a stage do, with a stream socket as its standard input and output each.
// It is killed with this object. One thread.
class RunningCtl final : public Actor {
 public:
  // `endpoint` becomes its KINSOCK_ENDPOINT. `stage` outlives this.
  RunningCtl(Stage& stage, const std::string& endpoint, std::vector<std::string> arguments);
  ~RunningCtl();
  RunningCtl(const RunningCtl&) = delete;
  RunningCtl& operator=(const RunningCtl&) = delete;

  void Type(std::string_view text);
  void EndInput() { input_.reset(); }
  void Signal(int number);

  // What it printed, and whether it has closed its output.
  const std::string& printed() const { return printed_; }
  bool output_ended() const { return output_ended_; }

  // How it ended: its exit code, or the negative number of the signal. Nothing: it runs.
  std::optional<int> code() const { return code_; }
  std::string Complaint() const;  // what it wrote to standard error

  // The other end of its standard output, to be read here no more.
  UniqueFd TakeOutput();

  bool Poll() override;
  void AppendAwaited(std::vector<pollfd>& fds) const override;
  std::string Describe() const override;

 private:
  Stage& stage_;
  pid_t pid_ = -1;
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd error_;  // a memfd
  std::string printed_;
  bool output_ended_ = false;
  std::optional<int> code_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CLI_RUNNING_CTL_H_
