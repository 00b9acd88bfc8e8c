// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/watch_quota.h"

#include "absl/strings/str_cat.h"
#include "server/status/error.h"

namespace kinsock {

absl::StatusOr<WatchQuota::Ticket> WatchQuota::Enter(const Caller& caller) {
  Ticket::Key key{caller.transport, caller.uid, caller.san};
  {
    MutexLock lock(mutex_);
    size_t& open = open_[key];
    if (open < per_caller_) {
      ++open;
      return Ticket(*this, std::move(key));
    }
  }
  const std::string text = absl::StrCat(caller.ToString(), " has ", per_caller_,
                                        " watches open, as many as one caller may; end one of them");
  return Error(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED", text)
      .With("limit", "watches_per_caller")
      .With("value", absl::StrCat(per_caller_))
      .Quota("caller", text);
}

WatchQuota::Ticket::~Ticket() {
  if (quota_ == nullptr) return;
  MutexLock lock(quota_->mutex_);
  const auto entry = quota_->open_.find(key_);
  if (entry != quota_->open_.end() && --entry->second == 0) quota_->open_.erase(entry);
}

}  // namespace kinsock
