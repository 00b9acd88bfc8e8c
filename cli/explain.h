// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_H_
#define KINSOCK_CLI_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/kinsock/v1/connection.pb.h"
#include "api/kinsock/v1/forward.pb.h"
#include "api/kinsock/v1/network_service.pb.h"
#include "api/kinsock/v1/vm.pb.h"
#include "cli/exit_code.h"

namespace kinsock {

// Why one end cannot connect to a port of another, or that nothing known stands in the way.

// What the daemon and this machine know about it.
struct ExplainFacts {
  std::optional<v1::Vm> source;  // none: a program of the host
  std::optional<v1::Vm> target;  // likewise
  uint32_t port = 0;
  std::optional<v1::TestPolicyResponse> policy;  // none: not asked, the ends have no network in common
  // Connections of the source to that port, open or ended within the last minute, the newest last.
  std::vector<v1::Connection> attempts;

  // The forward of that way and port, if the host is an end and there is one.
  std::optional<v1::Forward> forward;

  // Where a guest's connection to the host arrives without a forward.
  enum class HostListener : uint8_t { kNotAsked, kNone, kDead, kListening, kElsewhere };
  HostListener host_listener = HostListener::kNotAsked;
  std::string host_path;
};

struct Explanation {
  // From the name to the listener, in the order in which a connection meets them.
  struct Step {
    enum class Verdict : uint8_t { kGood, kBad, kUnknown };
    Verdict verdict = Verdict::kGood;
    std::string text;
  };
  std::vector<Step> steps;
  // The first thing that is bad, or the likeliest; empty: nothing stands in the way.
  std::string cause;
  std::string next;  // the command to try
  ExitCode code = kExitOk;
};

Explanation Explain(const ExplainFacts& facts);

// "networks/{network_id}", also where the VM's spec says nothing.
std::string NetworkOf(const v1::Vm& vm);

// For a person: a line for each step, then the cause and the command.
std::string ExplanationText(const Explanation& explanation);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_H_
