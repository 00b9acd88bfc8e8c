// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_EVENT_LOG_H_
#define KINSOCK_SERVER_RPC_EVENT_LOG_H_

#include <cstddef>
#include <memory>

#include "api/kinsock/v1/event.pb.h"
#include "base/event_loop.h"
#include "server/rpc/ring_watch.h"
#include "server/rpc/watch_ring.h"

namespace kinsock {

// What has happened in the daemon, for people and for those who keep such records: WatchEvents tells it. It lives in
// memory, and a restart begins anew.
//
// Thread: main, but for Post().
class EventLog {
 public:
  // Events that are remembered, at most some 2 KiB each: what an hour of a busy node brings. Beyond: the oldest goes.
  static constexpr size_t kMaxEvents = 4096;
  // Events that a watch may be behind, so few that it can go on from its last one. Beyond: WATCH_LAGGED.
  static constexpr size_t kMaxLag = 2048;
  // Beyond: QUOTA_EXCEEDED. Events are for collectors and people at a terminal.
  static constexpr size_t kMaxWatches = 64;
  // Of Event.message: the longest that says something. What is beyond is cut off.
  static constexpr size_t kMaxMessageBytes = 1024;
  // The same of its object and of each field: what a client has called a VM may be megabytes.
  static constexpr size_t kMaxFieldBytes = 256;

  using Entry = std::shared_ptr<const v1::Event>;

  // `main` outlives this, and what is posted to it is run, or dropped, before this goes.
  explicit EventLog(EventLoop& main);

  // Adds `event`, and sets its id, and its time if it has none.
  void Add(v1::Event event);
  // The same; any thread.
  void Post(v1::Event event);

  // What a watch of the events follows.
  RingSource<v1::Event, Entry> source();
  size_t watches() const { return ring_.subscribers(); }
  uint64_t lagged_watches() const { return ring_.lagged(); }
  // Ends all watches, and refuses new ones, with `reason`.
  void Close(const absl::Status& reason) { ring_.Close(reason); }

 private:
  EventLoop& main_;
  WatchRing<Entry> ring_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_EVENT_LOG_H_
