// SPDX-License-Identifier: Apache-2.0
#include "server/manager/request_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {

absl::StatusOr<VmSnapshotPtr> RequestTable::Find(const std::string& id, uint64_t hash) {
  while (!entries_.empty() && entries_.front().forget_at <= clock_.Now()) ForgetOldest();
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return VmSnapshotPtr();
  if (found->second->hash == hash) return found->second->result;
  return Error(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
               absl::StrCat("request_id ", Quoted(id), " was used by another request, which made ",
                            found->second->result->definition->name(), "; take a new id for a new request"))
      .With("request_id", id);
}

void RequestTable::Remember(const std::string& id, uint64_t hash, VmSnapshotPtr result, std::chrono::nanoseconds keep) {
  if (by_id_.count(id) > 0) return;
  bytes_ += result->definition->approximate_size();
  entries_.push_back({id, hash, std::move(result), clock_.Now() + std::min<std::chrono::nanoseconds>(keep, kKeep)});
  by_id_[id] = std::prev(entries_.end());
  while (entries_.size() > kMaxEntries || bytes_ > kMaxBytes) ForgetOldest();
}

void RequestTable::ForgetOldest() {
  bytes_ -= entries_.front().result->definition->approximate_size();
  by_id_.erase(entries_.front().id);
  entries_.pop_front();
}

}  // namespace kinsock
