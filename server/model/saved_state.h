// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_SAVED_STATE_H_
#define KINSOCK_SERVER_MODEL_SAVED_STATE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "router/cid.h"
#include "server/model/forward_spec.h"
#include "server/model/network.h"
#include "server/model/vm.h"

namespace kinsock {

// What outlives the daemon, as plain values: the VM manager knows no database, and the store no VM manager.

// A VM that was created through the API.
struct SavedVm {
  std::shared_ptr<const VmDefinition> definition;
  Cid cid = 0;
  Cid former_cid = 0;  // VmStatus::former_cid
};

// A CID that nobody but `holder` may have before `until`.
struct RestingCid {
  std::string network = kDefaultNetworkId;  // its id
  Cid cid = 0;
  std::string holder;  // "vms/a"
  WallTime until;
};

// A CID that is kept for a VM that is to come.
struct ReservedCid {
  std::string network;
  Cid cid = 0;
  std::string holder;
  WallTime until;
  bool was_used = false;  // some VM had it: it rests when it is given back
};

// The CIDs that were chosen last.
struct CidCursors {
  Cid automatic = 0;  // 0: none yet
  Cid in_range = 0;
};

// A request that was carried out, for the client that lost the answer and asks again.
struct AnsweredRequest {
  std::string id;
  uint64_t hash = 0;  // see RequestTable
  std::string vm_id;  // whom it was about
  std::string uid;
  Cid cid = 0;
  WallTime forget_at;
};

// The same of something else than a VM. Each kind has request ids of its own.
struct AnsweredObjectRequest {
  enum class Kind : uint8_t {
    kNetwork = 1,
    kPolicy = 2,
    kCid = 3,
    kRelease = 4,
    kForward = 5
  };  // as they are in the file
  Kind kind = Kind::kNetwork;
  std::string id;
  uint64_t hash = 0;
  std::string network;  // of a policy or a CID: where it is
  std::string object;   // what it was about: the id, of a CID its number
  std::string uid;      // of a CID who held it
  WallTime forget_at;
};

// All of it.
struct SavedState {
  std::vector<SavedVm> vms;  // in the order of their ids
  std::vector<RestingCid> resting;
  std::vector<ReservedCid> reserved;
  std::map<std::string, CidCursors> cursors;  // by the id of the network
  std::vector<NetworkDefinitionPtr> networks;
  std::vector<PolicyDefinitionPtr> policies;           // each of one of the networks, or of the default one
  std::vector<AnsweredRequest> requests;               // oldest first
  std::vector<ForwardDefinitionPtr> forwards;          // in the order of their ids
  std::vector<AnsweredObjectRequest> object_requests;  // oldest first
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_SAVED_STATE_H_
