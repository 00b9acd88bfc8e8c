// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_CONNECTION_FEED_H_
#define KINSOCK_SERVER_SERVICE_CONNECTION_FEED_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "api/kinsock/v1/connection_service.pb.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "router/flow_info.h"
#include "server/convert/connection_conversion.h"
#include "server/convert/connection_query.h"
#include "server/reactors/flow_snapshots.h"
#include "server/rpc/ring_watch.h"
#include "server/rpc/watch_ring.h"

namespace kinsock {

// What becomes of connections, for those who watch. The reactors are not made to tell of each, which would cost every
// connection a message: while somebody watches, all are looked at once a second, and what differs is told.
//
//     idle --a watch--> look --1 s, still watched--> look ...
//      ^                  '------nobody watches---------'
//      '--  for kResumable it is remembered what the last look saw: those that end can be listed for longer, so
//           the next look misses nothing, and a watch that was cut off can go on
//
// Thread: main. `main` and `snapshots` outlive all watches.
class ConnectionFeed {
 public:
  static constexpr std::chrono::seconds kInterval{1};
  // From the last look on. Less than FlowJournal::kKeep by what a busy daemon may take for a look. Beyond: versions
  // expire.
  static constexpr std::chrono::seconds kResumable{50};
  // Changes that are remembered, some 700 bytes each: what 80 connections a second make of three changes each in a
  // minute. Beyond: the oldest goes.
  static constexpr size_t kMaxChanges = 16384;
  // Changes that a watch may be behind, so few that it can go on from its last one. Beyond: WATCH_LAGGED.
  static constexpr size_t kMaxLag = 8192;
  // Beyond: QUOTA_EXCEEDED. Each is sent all connections when it begins.
  static constexpr size_t kMaxWatches = 64;

  struct Change {
    std::optional<FlowInfo::State> before;  // none: it was not there, or not seen
    FlowInfo::State now;
    v1::Connection connection;
  };
  using Entry = std::shared_ptr<const Change>;
  using VmsOf = std::function<FlowVms(const FlowInfo&)>;

  // `instance`: of the names of connections.
  ConnectionFeed(EventLoop& main, FlowSnapshots& snapshots, VmsOf vms_of, std::string instance);

  // What a watch of the connections that `query` is about follows: its `vm` and `states`. Any thread.
  RingSource<v1::WatchConnectionsResponse, Entry> source(ConnectionQuery query);
  size_t watches() const { return ring_.subscribers(); }
  uint64_t lagged_watches() const { return ring_.lagged(); }
  // Ends all watches, and refuses new ones, with `reason`.
  void Close(const absl::Status& reason) { ring_.Close(reason); }

 private:
  using Flows = FlowSnapshots::Flows;
  using Present = RingSource<v1::WatchConnectionsResponse, Entry>::Present;

  void Prepare(const ConnectionQuery& query, const std::function<void(Present)>& ready);
  Present PresentOf(const ConnectionQuery& query) const;
  void WakeUp();
  void Look();
  void Took(const Flows& flows);
  void RestOrGoOn();
  // What is known after `flows` were seen; tells what differs from what was known.
  std::vector<FlowInfo> TellChanges(const std::vector<FlowInfo>& flows);
  void Vanished(const FlowInfo& flow, std::vector<FlowInfo>& known);
  void Tell(std::optional<FlowInfo::State> before, const FlowInfo& now);

  EventLoop& main_;
  FlowSnapshots& snapshots_;
  const VmsOf vms_of_;
  const std::string instance_;
  WatchRing<Entry> ring_;
  bool looking_ = false;                            // not idle
  Flows known_;                                     // what the last look saw; null: nothing that can be compared with
  absl::flat_hash_set<uint64_t> missed_;            // of these, those that it did not find
  MonotonicTime known_at_;                          // meaningful with known_
  std::vector<std::function<void()>> waiting_;      // watches that begin after the look under way
  std::optional<EventLoop::TimerId> forget_timer_;  // while idle
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_CONNECTION_FEED_H_
