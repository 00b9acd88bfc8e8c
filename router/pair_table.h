// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_PAIR_TABLE_H_
#define KINSOCK_ROUTER_PAIR_TABLE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/counter.h"
#include "router/close_reason.h"
#include "router/flow_info.h"

namespace kinsock {

// One end of a pair: a guest, or the host as one guest sees it.
struct PairEnd {
  uint64_t device = 0;  // FlowInfo::End::device
  bool is_host = false;

  static PairEnd Of(const FlowInfo::End& end) { return {end.device, end.cid == kHostCid}; }
  friend bool operator==(const PairEnd&, const PairEnd&) = default;
};

// Who called whom.
struct PairKey {
  PairEnd initiator;
  PairEnd target;

  static PairKey Of(const FlowInfo& flow) { return {PairEnd::Of(flow.initiator), PairEnd::Of(flow.target)}; }
  friend bool operator==(const PairKey&, const PairKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const PairKey& key) {
    return H::combine(std::move(h), key.initiator.device, key.initiator.is_host, key.target.device, key.target.is_host);
  }
};

// What the connections of a pair were, all together.
struct PairTotals {
  struct Way {
    uint64_t bytes = 0;
    uint64_t packets = 0;
    uint64_t credit_stalls = 0;
  };

  // A request that was denied.
  struct Denial {
    std::chrono::system_clock::time_point time;
    uint32_t port = 0;  // of the target
    CloseReason reason = CloseReason::kNone;
  };

  uint64_t accepted = 0;  // requests that were
  uint64_t refused = 0;   // and were not
  uint64_t denied = 0;    // of the refused, those that FlowInfo::denied()
  Denial last_denial;     // meaningless while none was
  uint64_t open = 0;      // of the accepted, now
  Way to_target;
  Way to_initiator;

  // One connection, open or ended.
  void Add(const FlowInfo& flow);
  PairTotals& operator+=(const PairTotals& other);
  uint64_t bytes() const { return to_target.bytes + to_initiator.bytes; }
};

struct PairInfo {
  PairKey key;
  PairTotals totals;
};

// Sums of the connections that have ended, by pair, requests that were refused included. Nothing is counted here while
// a connection lasts: what it has carried by now is in its flow. A guest that calls CIDs which nobody has makes one
// pair of them all, for they are no device's.
//
// Thread: its owner's, but for merged().
class PairTable {
 public:
  // Pairs that are told apart, some 300 bytes each. Beyond: the one of which no connection has ended for the longest
  // time goes into other(), and is counted in merged().
  static constexpr size_t kMaxPairs = 10'000;
  // The same for those that one VM, or the host of one, has called in: a guest that calls everybody, allowed or not,
  // must not push the pairs of others out.
  static constexpr size_t kMaxPairsOfOne = 1024;

  // A connection that has ended.
  void Add(const FlowInfo& flow);
  // Adds all to `pairs`, in no order.
  void Describe(std::vector<PairInfo>& pairs) const;
  // What was evicted, all together.
  const PairTotals& other() const { return other_; }
  // How many pairs were. Any thread.
  uint64_t merged() const { return merged_.value(); }

 private:
  struct Entry;
  using Entries = std::list<Entry>;
  using OfOne = std::list<Entries::iterator>;
  struct Entry {
    PairInfo pair;
    OfOne::iterator of_one;
  };

  Entries::iterator Insert(const PairKey& key);
  void Merge(Entries::iterator entry);

  Entries pairs_;  // the last one to end a connection first
  absl::flat_hash_map<PairKey, Entries::iterator> by_key_;
  absl::flat_hash_map<uint64_t, OfOne> by_initiator_;  // its device; in the same order
  PairTotals other_;
  Counter merged_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_PAIR_TABLE_H_
