// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/watch_quota.h"

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

absl::Status Exceeded(const char* limit, size_t value, const std::string& text) {
  return Error(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED", text)
      .With("limit", limit)
      .With("value", absl::StrCat(value))
      .Quota("caller", text);
}

}  // namespace

absl::StatusOr<WatchQuota::Ticket> WatchQuota::Enter(const Caller& caller, std::string_view kind, size_t share) {
  Ticket::Key key{caller.transport, caller.uid, caller.san, std::string(kind)};
  bool has_all = false;
  {
    MutexLock lock(mutex_);
    has_all = OpenOf(AllOf(key)) >= per_caller_;
    if (!has_all && OpenOf(key) < share) {
      ++open_[key];
      ++open_[AllOf(key)];
      return Ticket(*this, std::move(key));
    }
  }
  if (has_all) {
    return Exceeded("watches_per_caller", per_caller_,
                    absl::StrCat(caller.ToString(), " has ", per_caller_,
                                 " watches open, as many as one caller may; end one of them"));
  }
  return Exceeded("streams_of_a_kind_per_caller", share,
                  absl::StrCat(caller.ToString(), " has ", share, " streams of ", AbslView(kind),
                               " open, as many as one caller may; end one of them, or share one"));
}

WatchQuota::Ticket::Key WatchQuota::AllOf(const Ticket::Key& key) {
  Ticket::Key all = key;
  std::get<3>(all).clear();
  return all;
}

size_t WatchQuota::OpenOf(const Ticket::Key& key) const {
  const auto entry = open_.find(key);
  return entry == open_.end() ? 0 : entry->second;
}

void WatchQuota::GiveBack(const Ticket::Key& key) {
  const auto entry = open_.find(key);
  if (entry != open_.end() && --entry->second == 0) open_.erase(entry);
}

WatchQuota::Ticket::~Ticket() {
  if (quota_ == nullptr) return;
  MutexLock lock(quota_->mutex_);
  quota_->GiveBack(key_);
  quota_->GiveBack(AllOf(key_));
}

}  // namespace kinsock
