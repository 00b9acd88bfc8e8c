// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_NETWORK_H_
#define KINSOCK_SERVER_MODEL_NETWORK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router/cid.h"
#include "router/policy.h"
#include "server/model/quota.h"

namespace kinsock {

inline constexpr char kDefaultNetworkId[] = "default";

// What is wanted of a network: what a client or a configuration file may say. Plain value; checked by
// network_validation.
struct NetworkSpec {
  // Above the numbers that people choose by hand (3-31 by habit, 32-1023 for managed reservations), and far below 2^31,
  // which some tools read as a sign.
  static constexpr CidSpan kDefaultCids{1024, 1u << 30};
  // Guests give up on a connection whose peer is silent after 8 s (Linux's close timeout), programs look up a peer's
  // address now and then: a minute is longer than both.
  static constexpr std::chrono::milliseconds kDefaultQuarantine{60'000};

  CidSpan cids = kDefaultCids;    // where the daemon chooses
  std::vector<CidSpan> reserved;  // where it never does
  std::chrono::milliseconds quarantine = kDefaultQuarantine;
  DefaultPolicy otherwise = DefaultPolicy::kSharedGroup;
  Quota quota;  // what no VM of it gets more of
  friend bool operator==(const NetworkSpec&, const NetworkSpec&) = default;
};

// The same of a policy, without its name and its counter.
struct PolicySpec {
  int32_t priority = 0;
  bool allow = false;
  bool log = false;
  bool reset_existing = false;
  PolicySelector from;
  PolicySelector to;
  std::vector<PortSpan> ports;
  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

// What networks and policies have in common, as the daemon keeps them. Nobody changes one that exists: a change makes
// another.
struct DefinitionBase {
  std::string id;
  std::string uid;  // empty: only validated, never made
  int64_t generation = 1;
  std::chrono::system_clock::time_point create_time;
  bool configured = false;  // by the configuration file, and changed only there

  std::string etag() const;
};

struct NetworkDefinition : DefinitionBase {
  NetworkSpec spec;

  std::string name() const { return "networks/" + id; }
};

struct PolicyDefinition : DefinitionBase {
  std::string network;  // its id
  PolicySpec spec;
  std::shared_ptr<SharedCounter> hits = std::make_shared<SharedCounter>();  // also of earlier generations

  std::string name() const { return "networks/" + network + "/policies/" + id; }
};

using NetworkDefinitionPtr = std::shared_ptr<const NetworkDefinition>;
using PolicyDefinitionPtr = std::shared_ptr<const PolicyDefinition>;

// A network with what it has at a moment.
struct NetworkSnapshot {
  NetworkDefinitionPtr definition;
  size_t vms = 0;
  size_t policies = 0;
  uint64_t default_allowed = 0;
  uint64_t default_denied = 0;
};

// What a client asks for. Plain values.
struct MutationRequest {
  std::string id;       // of a network, or of a policy in `network`
  std::string network;  // for policies
  std::string etag;     // empty: whatever it is; not for creations
  std::string request_id;
  uint64_t request_hash = 0;
  bool validate_only = false;
  bool configured = false;  // comes from the configuration file
};

template <typename Spec>
struct CreationBy : MutationRequest {
  Spec spec;
};

template <typename Spec>
struct UpdateBy : MutationRequest {
  // What it becomes of what it is; FIELD_INVALID if that makes no sense.
  std::function<absl::StatusOr<Spec>(const Spec&)> change;
};

struct NetworkDeletion : MutationRequest {
  bool force = false;
  bool allow_missing = false;
};

struct PolicyDeletion : MutationRequest {
  bool allow_missing = false;
};

using NetworkCreation = CreationBy<NetworkSpec>;
using NetworkUpdate = UpdateBy<NetworkSpec>;
using PolicyCreation = CreationBy<PolicySpec>;
using PolicyUpdate = UpdateBy<PolicySpec>;

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_NETWORK_H_
