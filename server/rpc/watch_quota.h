// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_WATCH_QUOTA_H_
#define KINSOCK_SERVER_RPC_WATCH_QUOTA_H_

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/caller.h"

namespace kinsock {

// How many streams that stay open one caller has, so that none takes the watches of all. Any thread.
class WatchQuota {
 public:
  // The place of one watch; free again with this object, which the quota outlives.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept : quota_(std::exchange(other.quota_, nullptr)), key_(std::move(other.key_)) {}
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(quota_, other.quota_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Ticket();

   private:
    friend class WatchQuota;
    using Key = std::tuple<Caller::Transport, uid_t, std::string>;
    Ticket(WatchQuota& quota, Key key) : quota_(&quota), key_(std::move(key)) {}

    WatchQuota* quota_ = nullptr;  // not owned; null: nothing to give back
    Key key_;
  };

  explicit WatchQuota(size_t per_caller = kMaxWatchesPerCaller) : per_caller_(per_caller) {}

  // RESOURCE_EXHAUSTED QUOTA_EXCEEDED {limit, value}: `caller` has as many as one may.
  absl::StatusOr<Ticket> Enter(const Caller& caller);

 private:
  const size_t per_caller_;
  Mutex mutex_;
  std::map<Ticket::Key, size_t> open_ ABSL_GUARDED_BY(mutex_);  // callers that have any
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_WATCH_QUOTA_H_
