// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_EVENT_HUB_H_
#define KINSOCK_SERVER_MANAGER_EVENT_HUB_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/vm_event.h"

namespace kinsock {

// The order of all changes, and those who follow it.
//
//     version:   n-3     n-2      n-1      n
//     ring:      [--]   [b: M]   [--]   [a: M]    an event that a newer one of the same VM overtook ("--") keeps its
//                 ^        ^                      place but drops its content: nobody is sent it any more
//             oldest     a cursor: this subscriber has been served up to here
//
// A subscriber owns no queue, only a cursor into the ring: a slow one costs no memory and sees each VM once, in its
// newest state. It is let go when more than `max_lag` VMs have changed behind its back, or when the ring has moved
// past it.
//
// Thread: main.
class EventHub {
 public:
  struct Limits {
    // How far back a watch can resume. Reached: the oldest is forgotten, and who wants it lists again.
    size_t ring_events = 65536;
    // The same in bytes of VM definitions that nothing but the ring holds; deleted VMs may be large.
    size_t ring_bytes = 64u << 20;
    // Changed VMs that a subscriber has not taken: one that lags more does not read. It is sent WATCH_LAGGED.
    size_t max_lag = 4096;
    // Subscribers: each costs a stream and, at its beginning, a list of all VMs. Beyond: QUOTA_EXCEEDED.
    size_t max_subscribers = 1024;
  };

  class Subscription {
   public:
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // Up to `max` events after those taken before, in order. Empty: caught up; `on_ready` will be called.
    // An error: status().
    absl::StatusOr<std::vector<VmEvent>> Take(size_t max);

    // Why the subscription is over: RESOURCE_EXHAUSTED WATCH_LAGGED, or what Close() said. OK: it is not.
    absl::Status status() const;

    // The version up to which everything has been taken.
    uint64_t cursor() const { return cursor_; }

   private:
    friend class EventHub;
    Subscription(EventHub& hub, uint64_t after, std::function<void()> on_ready);

    EventHub& hub_;
    uint64_t cursor_;
    const uint64_t born_at_;  // what is older is history that it asked for, and does not count as lag
    size_t lag_ = 0;          // events after born_at_ that were neither taken nor overtaken
    bool lagged_ = false;
    bool wants_call_ = false;  // it was told "caught up" and waits for on_ready
    // Created after the cursor began, but overtaken before it was sent: the next event of this VM is an ADDED.
    std::unordered_set<std::string> untold_;
    std::function<void()> on_ready_;
  };

  // `epoch`: see ResourceVersion.
  explicit EventHub(std::string epoch) : EventHub(std::move(epoch), Limits()) {}
  EventHub(std::string epoch, Limits limits);
  ~EventHub();

  // The version that the next published event must have.
  uint64_t next_version() const { return head_ + 1; }
  // The version of the newest event; 0: there was none.
  uint64_t head() const { return head_; }
  // The oldest version after which everything is still known.
  uint64_t oldest() const { return head_ - ring_.size(); }
  const std::string& epoch() const { return epoch_; }
  size_t subscribers() const { return subscribers_.size(); }
  // Subscribers that were let go because they lagged.
  uint64_t lagged() const { return lagged_; }

  // Called with each event as it is published; it must not come back here. Others are told only what nothing newer has
  // overtaken.
  void set_observer(std::function<void(const VmEvent&)> observer) { observer_ = std::move(observer); }

  // Adds an event; `event.vm->version` is next_version(). Calls subscribers' `on_ready`, which must not
  // publish, subscribe or destroy subscriptions.
  void Publish(VmEvent event);

  // Follows the events after version `after`. `on_ready` is called when Take() has something again after it
  // had nothing, and when the subscription is over. OUT_OF_RANGE RESOURCE_VERSION_EXPIRED when that is before oldest();
  // INVALID_ARGUMENT when it is after head(); RESOURCE_EXHAUSTED QUOTA_EXCEEDED. The hub outlives the subscription.
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(uint64_t after, std::function<void()> on_ready);

  // Ends all subscriptions with `reason`, and refuses new ones with it.
  void Close(absl::Status reason);

 private:
  struct Entry {
    VmEvent event;  // vm is null: overtaken
    bool creation = false;
    std::string uid;
  };

  Entry& At(uint64_t version) { return ring_[version - oldest() - 1]; }
  void Overtake(uint64_t version);
  void Trim();

  const std::string epoch_;
  const Limits limits_;
  uint64_t head_ = 0;
  std::deque<Entry> ring_;                            // versions oldest()+1 .. head_
  std::unordered_map<std::string, uint64_t> newest_;  // uid -> version of its newest event, if in the ring
  size_t deleted_bytes_ = 0;                          // of definitions in DELETED events
  std::set<Subscription*> subscribers_;
  uint64_t lagged_ = 0;
  std::function<void(const VmEvent&)> observer_;
  absl::Status closed_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_EVENT_HUB_H_
