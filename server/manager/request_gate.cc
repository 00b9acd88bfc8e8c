// SPDX-License-Identifier: Apache-2.0
#include "server/manager/request_gate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

absl::Status Reused(const std::string& id) {
  return Error(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
               absl::StrCat("request_id ", Quoted(id),
                            " is that of another request, which is under way; take a new id "
                            "for a new request"))
      .With("request_id", id);
}

}  // namespace

RequestGate::Done RequestGate::Enter(const std::string& id, uint64_t hash, Done done) {
  if (id.empty()) return done;
  absl::StatusOr<VmSnapshotPtr> earlier = answered_.Find(id, hash);
  if (!earlier.ok() || *earlier != nullptr) {
    done(std::move(earlier));
    return nullptr;
  }
  if (const auto same = under_way_.find(id); same != under_way_.end()) {
    if (same->second.hash != hash) {
      done(Reused(id));
    } else {
      same->second.waiting.push_back(std::move(done));
    }
    return nullptr;
  }
  UnderWay& entry = under_way_[id];
  entry.hash = hash;
  entry.waiting.push_back(std::move(done));
  return [this, id](const absl::StatusOr<VmSnapshotPtr>& result) { Answer(id, result); };
}

void RequestGate::Answer(const std::string& id, const absl::StatusOr<VmSnapshotPtr>& result) {
  const auto found = under_way_.find(id);
  UnderWay entry = std::move(found->second);
  under_way_.erase(found);
  // The deletion of a VM that was not there leaves nothing to remember, and may be tried again.
  if (result.ok() && *result != nullptr) answered_.Remember(id, entry.hash, *result);
  for (Done& done : entry.waiting) done(result);
}

}  // namespace kinsock
