// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_EXPLAIN_STEPS_H_
#define KINSOCK_CLI_EXPLAIN_EXPLAIN_STEPS_H_

#include <string>
#include <utility>

#include "cli/call/exit_code.h"
#include "cli/explain/explain.h"

namespace kinsock {

using Step = ctl::Explanation::Step;

// An explanation that is being made. What adds a step says whether to go on: behind the first thing that is bad nothing
// is of use.
class ExplainSteps {
 public:
  explicit ExplainSteps(ctl::Explanation& explanation) : explanation_(explanation) {}

  bool Good(Step::Check check, std::string text) { return Add(check, Step::GOOD, std::move(text)); }
  bool Unknown(Step::Check check, std::string text) { return Add(check, Step::UNKNOWN, std::move(text)); }
  bool Bad(Step::Check check, const std::string& reason, std::string cause, ExitCode code) {
    explanation_.set_reason(reason);
    explanation_.set_cause(cause);
    explanation_.set_exit_code(code);
    Add(check, Step::BAD, std::move(cause));
    return false;
  }

  // What to do: on the host, or in the guest of `vm`.
  void Next(std::string line) { explanation_.add_next()->set_line(std::move(line)); }
  void NextIn(const v1::Vm& vm, std::string line) {
    explanation_.add_next()->set_vm(vm.name());
    explanation_.mutable_next()->rbegin()->set_line(std::move(line));
  }

 private:
  bool Add(Step::Check check, Step::Verdict verdict, std::string text) {
    Step& step = *explanation_.add_steps();
    step.set_check(check);
    step.set_verdict(verdict);
    step.set_text(std::move(text));
    return true;
  }

  ctl::Explanation& explanation_;
};

// explain_way.cc: from the names to the policies. Whether nothing is in the way so far.
bool ExplainWay(const ExplainFacts& facts, ExplainSteps& steps);

// explain_attempt.cc: limits, who listens, and what became of the last attempt.
void ExplainAttempt(const ExplainFacts& facts, ExplainSteps& steps);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_EXPLAIN_STEPS_H_
