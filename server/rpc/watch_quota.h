// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_WATCH_QUOTA_H_
#define KINSOCK_SERVER_RPC_WATCH_QUOTA_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/caller.h"

namespace kinsock {

// How many streams that stay open one caller has, so that none takes the watches of all: of all kinds together, and of
// those kinds of which the daemon has few. Any thread.
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
    // Who, and of which kind; the kind "" stands for all together.
    using Key = std::tuple<Caller::Transport, uid_t, std::string, std::string>;
    Ticket(WatchQuota& quota, Key key) : quota_(&quota), key_(std::move(key)) {}

    WatchQuota* quota_ = nullptr;  // not owned; null: nothing to give back
    Key key_;
  };

  explicit WatchQuota(size_t per_caller = kMaxWatchesPerCaller) : per_caller_(per_caller) {}

  // `kind`: for example "ConnectionService.StreamStats", of which one caller may have `share`. RESOURCE_EXHAUSTED
  // QUOTA_EXCEEDED {limit, value}: `caller` has as many as one may, of all (watches_per_caller) or of these
  // (streams_of_a_kind_per_caller).
  absl::StatusOr<Ticket> Enter(const Caller& caller, std::string_view kind, size_t share);

 private:
  static Ticket::Key AllOf(const Ticket::Key& key);
  size_t OpenOf(const Ticket::Key& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(const Ticket::Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t per_caller_;
  Mutex mutex_;
  std::map<Ticket::Key, size_t> open_ ABSL_GUARDED_BY(mutex_);  // none is zero
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_WATCH_QUOTA_H_
