// SPDX-License-Identifier: Apache-2.0
//
// NetworkManager: requests that a client may repeat after a restart of the daemon.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "server/manager/network_manager.h"

namespace kinsock {

void NetworkManager::NoteRequest(Kind kind, const MutationRequest& request, const std::string& uid,
                                 JournalEntry& entry) {
  if (request.request_id.empty()) return;
  entry.object_requests.push_back({kind, request.request_id, request.request_hash, request.network, request.id, uid,
                                   std::chrono::system_clock::now() + Answers<NetworkSnapshot>::kKeep});
}

void NetworkManager::RememberAnswers(const SavedState& saved) {
  const auto now = std::chrono::system_clock::now();
  for (const AnsweredObjectRequest& request : saved.object_requests) {
    const auto left = request.forget_at - now;
    if (left <= std::chrono::seconds(0)) continue;
    switch (request.kind) {
      case Kind::kNetwork:
        network_answers_.Remember(request.id, request.hash, AnswerAboutNetwork(request), left);
        break;
      case Kind::kPolicy:
        policy_answers_.Remember(request.id, request.hash, AnswerAboutPolicy(request), left);
        break;
      case Kind::kCid:
        cid_answers_.Remember(request.id, request.hash, AnswerAboutCid(request), left);
        break;
      case Kind::kRelease:
        release_answers_.Remember(request.id, request.hash, AnswerAboutCid(request), left);
        break;
      case Kind::kForward:
        break;
    }
  }
}

// What is left of an answer after a restart: what it was about as it is now, or, when that is no more, which it was.

NetworkSnapshot NetworkManager::AnswerAboutNetwork(const AnsweredObjectRequest& request) const {
  const auto found = networks_.find(request.object);
  if (found != networks_.end() && found->second.definition->uid == request.uid) return Look(found->second);
  auto gone = std::make_shared<NetworkDefinition>();
  gone->id = request.object;
  gone->uid = request.uid;
  return {.definition = std::move(gone)};
}

PolicyDefinitionPtr NetworkManager::AnswerAboutPolicy(const AnsweredObjectRequest& request) const {
  const absl::StatusOr<PolicyDefinitionPtr> found = Get(request.network, request.object);
  if (found.ok() && (*found)->uid == request.uid) return *found;
  auto gone = std::make_shared<PolicyDefinition>();
  gone->id = request.object;
  gone->uid = request.uid;
  gone->network = request.network;
  return gone;
}

CidLease NetworkManager::AnswerAboutCid(const AnsweredObjectRequest& request) {
  Cid cid = 0;
  if (Exists(request.network) && absl::SimpleAtoi(request.object, &cid) && cid > 0) {
    for (CidAllocator::Lease& lease : CidsOf(request.network).List(cid - 1, 1)) {
      if (lease.cid == cid) return {request.network, std::move(lease)};
    }
  }
  return {request.network,
          {.cid = cid, .state = CidAllocator::Lease::State::kReserved, .holder = request.uid, .left = {}}};
}

}  // namespace kinsock
