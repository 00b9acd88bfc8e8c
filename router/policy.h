// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_POLICY_H_
#define KINSOCK_ROUTER_POLICY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counter.h"
#include "router/cid.h"
#include "router/group_set.h"

namespace kinsock {

// A VM in the eyes of policies. Plain value; what is shared is not changed by anybody.
struct VmIdentity {
  std::string vm;  // its id
  Cid cid = 0;
  std::shared_ptr<const GroupSet> groups;  // not null
  std::map<std::string, std::string> labels;
};

// Both ends belong to it.
struct CidSpan {
  Cid first = 0;
  Cid last = 0;
  friend bool operator==(const CidSpan&, const CidSpan&) = default;
};
struct PortSpan {
  uint32_t first = 0;
  uint32_t last = 0;
  friend bool operator==(const PortSpan&, const PortSpan&) = default;
};

// Which ends of a connection a policy is about. All that is said must be so; if nothing is said, it is about every VM
// of the network and the host.
struct PolicySelector {
  bool host = false;                          // the host, and no VM; excludes everything else
  std::string vm;                             // the VM of this id; empty: any
  std::vector<std::string> groups;            // in one of them, at least; empty: any
  std::map<std::string, std::string> labels;  // has each of them
  std::optional<CidSpan> cids;                // has a CID of these

  bool empty() const { return !host && vm.empty() && groups.empty() && labels.empty() && !cids.has_value(); }
  bool Matches(const VmIdentity& identity) const;
  bool MatchesHost() const { return host || empty(); }
  friend bool operator==(const PolicySelector&, const PolicySelector&) = default;
};

// One rule about who may connect to whom. Plain value, said by the control plane.
struct Policy {
  std::string name;      // unique in its network
  int32_t priority = 0;  // lower ones are asked first; among equals, by name
  bool allow = false;
  bool log = false;             // connections that it lets through are told of; those that it denies are, anyway
  bool reset_existing = false;  // ends connections that exist when it, or what takes its place, denies them
  PolicySelector from;
  PolicySelector to;
  std::vector<PortSpan> ports;  // of the end that is connected to; empty: all
  std::shared_ptr<SharedCounter> hits = std::make_shared<SharedCounter>();  // connections it decided about; not null

  bool CoversPort(uint32_t port) const;
};

// What holds where no policy says anything.
enum class DefaultPolicy : uint8_t {
  kSharedGroup,  // VMs that share a group may connect; so may each VM and the host, both ways
  kAllow,        // everybody may
  kDeny,         // nobody may, the host included
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_POLICY_H_
