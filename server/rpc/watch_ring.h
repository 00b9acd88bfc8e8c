// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_WATCH_RING_H_
#define KINSOCK_SERVER_RPC_WATCH_RING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/status/error.h"

namespace kinsock {

// What has happened, numbered, and those who follow it. Each sees everything once and in order: unlike EventHub, where
// the newest state of a VM stands for those before.
//
//     version:   n-3  n-2  n-1  n
//     ring:      [ ]  [ ]  [ ]  [ ]
//                  ^         ^
//               oldest     a cursor: this subscriber has been served up to here
//
// A subscriber owns no queue, only a cursor: a slow one costs no memory. It is let go when it is `max_lag` behind,
// while what it saw last is still remembered, so that it can go on from there.
//
// Thread: main. `T` is cheap to copy.
template <typename T>
class WatchRing {
 public:
  struct Limits {
    size_t items = 0;            // how far back a watch can resume; the oldest is forgotten
    size_t max_lag = 0;          // items that a subscriber has not taken. Beyond: RESOURCE_EXHAUSTED WATCH_LAGGED
    size_t max_subscribers = 0;  // beyond: RESOURCE_EXHAUSTED QUOTA_EXCEEDED
  };
  struct Numbered {
    uint64_t version = 0;
    T item;
  };

  class Subscription {
   public:
    ~Subscription() { ring_.subscribers_.erase(this); }
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // Up to `max` items after those taken before, not beyond the version `last`. Empty: caught up; `on_ready` will be
    // called when there is more.
    std::vector<Numbered> Take(size_t max, uint64_t last = UINT64_MAX) {
      std::vector<Numbered> items;
      const uint64_t end = std::min(last, ring_.head_);
      for (; cursor_ < end && items.size() < max; ++cursor_) {
        items.push_back({cursor_ + 1, ring_.items_[cursor_ - ring_.oldest()]});
      }
      wants_call_ = cursor_ == ring_.head_;
      return items;
    }

    // Why the subscription is over. OK: it is not.
    absl::Status status() const {
      if (!ring_.closed_.ok() || !lagged_) return ring_.closed_;
      return Error(absl::StatusCode::kResourceExhausted, "WATCH_LAGGED",
                   absl::StrCat("this watch reads too slowly: more than ", ring_.limits_.max_lag,
                                " messages wait for it; resume after the last version that it received"));
    }

    // The version up to which everything has been taken.
    uint64_t cursor() const { return cursor_; }

   private:
    friend class WatchRing;
    Subscription(WatchRing& ring, uint64_t after, std::function<void()> on_ready)
        : ring_(ring), cursor_(after), born_at_(ring.head_), on_ready_(std::move(on_ready)) {
      ring_.subscribers_.insert(this);
    }

    WatchRing& ring_;
    uint64_t cursor_;
    const uint64_t born_at_;  // what is older is history that it asked for, and does not count as lag
    bool lagged_ = false;
    bool wants_call_ = false;
    const std::function<void()> on_ready_;
  };

  // `epoch`: see ResourceVersion.
  WatchRing(std::string epoch, Limits limits) : epoch_(std::move(epoch)), limits_(limits) {}

  const std::string& epoch() const { return epoch_; }
  // The version of the newest item; 0: there was none.
  uint64_t head() const { return head_; }
  // The oldest version after which everything is still known.
  uint64_t oldest() const { return head_ - items_.size(); }
  size_t subscribers() const { return subscribers_.size(); }
  // Subscribers that were let go because they lagged.
  uint64_t lagged() const { return lagged_; }

  // Adds `item`, whose version is head() + 1. Calls `on_ready` of subscribers, which must not come back here.
  void Append(T item) {
    // Judged by what came before: who has taken all of that is not slow, however much comes at once.
    for (Subscription* subscriber : subscribers_) {
      const uint64_t seen = std::max(subscriber->cursor_, subscriber->born_at_);
      const bool forgotten = subscriber->cursor_ == oldest() && items_.size() == limits_.items;
      if (!subscriber->lagged_ && (head_ - seen >= limits_.max_lag || forgotten)) {
        subscriber->lagged_ = true;
        ++lagged_;
        subscriber->on_ready_();
      }
    }
    items_.push_back(std::move(item));
    ++head_;
    if (items_.size() > limits_.items) items_.pop_front();
    for (Subscription* subscriber : subscribers_) {
      if (std::exchange(subscriber->wants_call_, false)) subscriber->on_ready_();
    }
  }

  // Follows what comes after version `after`, which is known. The ring outlives the subscription.
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(uint64_t after, std::function<void()> on_ready) {
    if (!closed_.ok()) return closed_;
    if (subscribers_.size() >= limits_.max_subscribers) {
      return QuotaExceeded("watches", limits_.max_subscribers, "end some of them, or share one watch");
    }
    return std::unique_ptr<Subscription>(new Subscription(*this, after, std::move(on_ready)));
  }

  // Forgets everything, in the name of a new epoch: versions of the one before say nothing any more. Nobody is
  // subscribed.
  void Restart(std::string epoch) {
    epoch_ = std::move(epoch);
    head_ = 0;
    items_.clear();
  }

  // Ends all subscriptions with `reason`, and refuses new ones with it.
  void Close(absl::Status reason) {
    closed_ = std::move(reason);
    for (Subscription* subscriber : subscribers_) subscriber->on_ready_();
  }

 private:
  std::string epoch_;
  const Limits limits_;
  uint64_t head_ = 0;
  std::deque<T> items_;  // versions oldest()+1 .. head_
  std::set<Subscription*> subscribers_;
  uint64_t lagged_ = 0;
  absl::Status closed_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_WATCH_RING_H_
