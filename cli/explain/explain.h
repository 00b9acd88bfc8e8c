// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_EXPLAIN_H_
#define KINSOCK_CLI_EXPLAIN_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/kinsock/v1/connection.pb.h"
#include "api/kinsock/v1/forward.pb.h"
#include "api/kinsock/v1/network_service.pb.h"
#include "api/kinsock/v1/vm.pb.h"
#include "cli/schema/explanation.pb.h"

namespace kinsock {

// Why one end cannot connect to a port of another, or that nothing known stands in the way.

// What the daemon and this machine know about it (explain_facts.h).
struct ExplainFacts {
  struct End {
    std::string said;  // "web", "1025" or "host"
    bool host = false;
    std::optional<v1::Vm> vm;

    // Where there is no such VM:
    std::string similar;                  // the name that was probably meant
    std::optional<v1::CidLease> lease;    // its CID, or that of the VM that had the name, is not free
    std::optional<v1::Vm> moved;          // who had that CID and has another one now
    std::optional<v1::Vm> other_network;  // who has that CID in another network

    // "web", or what was said.
    std::string Name() const;
  };
  End source;
  End target;
  uint32_t port = 0;
  std::optional<v1::TestPolicyResponse> policy;  // none: not asked, the ends have no network in common
  // Connections of the source to that port, open or ended within the last minute, the newest last.
  std::vector<v1::Connection> attempts;
  int64_t now = 0;  // seconds, as in the timestamps of the API

  // The forward of that way and port, if the host is an end and there is one.
  std::optional<v1::Forward> forward;

  // The socket of the VM's host side, for a program of the host that connects, as this process finds it.
  enum class HostSocket : uint8_t { kNotAsked, kOpen, kForbidden, kGone, kElsewhere };
  HostSocket host_socket = HostSocket::kNotAsked;
  std::string host_socket_owner;  // "root:kvm, mode 0660"

  // Where a guest's connection to the host arrives without a forward. kUnseen: somebody is behind the socket, and
  // whether he listens this process cannot see.
  enum class HostListener : uint8_t { kNotAsked, kNone, kDead, kListening, kUnseen, kElsewhere };
  HostListener host_listener = HostListener::kNotAsked;
  std::string host_path;
};

ctl::Explanation Explain(const ExplainFacts& facts);

// "networks/{network_id}", also where the VM's spec says nothing.
std::string NetworkOf(const v1::Vm& vm);

// For a person: a line for each step, then the commands. `colour`: on a terminal that shows colours.
std::string ExplanationText(const ctl::Explanation& explanation, bool colour = false);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_EXPLAIN_H_
