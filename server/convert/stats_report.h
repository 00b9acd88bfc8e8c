// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_STATS_REPORT_H_
#define KINSOCK_SERVER_CONVERT_STATS_REPORT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "api/kinsock/v1/connection_service.pb.h"
#include "base/clock.h"
#include "router/pair_table.h"
#include "server/model/vm.h"
#include "server/model/vm_stats.h"

namespace kinsock {

// Whose statistics somebody wants. Plain value.
struct StatsQuestion {
  enum class Scope : uint8_t { kDaemon, kVm, kPairs };

  static constexpr size_t kDefaultTop = 100;
  static constexpr size_t kMaxTop = 1000;

  Scope scope = Scope::kDaemon;
  std::string vm;            // id; empty: all VMs, or the pairs of all
  size_t top = kDefaultTop;  // pairs at most
  bool with_denied = false;  // and as many that were denied something
};

// INVALID_ARGUMENT FIELD_INVALID, with every bad field. Any thread.
absl::StatusOr<StatsQuestion> ToStatsQuestion(const v1::GetStatsRequest& request);
absl::StatusOr<StatsQuestion> ToStatsQuestion(const v1::StreamStatsRequest& request);

// What the counters said at a moment. Plain value.
struct StatsReading {
  WallTime wall_time;
  MonotonicTime time;
  VmStats stats;                                   // kDaemon, kVm
  absl::flat_hash_map<PairKey, PairTotals> pairs;  // kPairs: of VMs that have a name
  PairTotals other;                                // kPairs: of all others
};

// The VM of a device, or what it was; null if nobody knows.
using VmOfDevice = std::function<VmSnapshotPtr(uint64_t)>;

// How much `now` has grown since `before`; null: since the counters began. Numbers that tell a state are those of
// `now`. Does not name the daemon.
v1::StatsReport ToProto(const StatsReading& now, const StatsReading* before, const StatsQuestion& question,
                        const VmOfDevice& vm_of);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_STATS_REPORT_H_
