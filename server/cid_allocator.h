// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CID_ALLOCATOR_H_
#define KINSOCK_SERVER_CID_ALLOCATOR_H_

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "router/cid.h"
#include "server/vm_spec.h"

namespace kinsock {

// Who has which CID. Two VMs never have one; and one that was given back rests before another VM may have it, so
// that a guest which still addresses the old machine does not reach a new one.
//
//     free -> allocated -> resting (kRest) -> free
//                 ^-----------'  by a VM of the same name: it is the same machine to its peers
//
// Thread: main.
class CidAllocator {
 public:
  // Guests give up on a connection whose peer is silent after 8 s (Linux's close timeout), programs look up a peer's
  // address now and then: a minute is longer than both.
  static constexpr std::chrono::seconds kRest{60};

  // Where automatic CIDs come from: above the numbers that people choose by hand (3-31 by habit, 32-1023 for
  // managed reservations), and far below 2^31, which some tools read as a sign.
  static constexpr Cid kFirstAutomatic = 1024;
  static constexpr Cid kLastAutomatic = 1u << 30;

  // Resting CIDs cost memory; creating and deleting VMs faster than this many a minute is no honest load. Reached:
  // QUOTA_EXCEEDED until some are free again.
  static constexpr size_t kMaxResting = 65536;

  explicit CidAllocator(const Clock& clock) : clock_(clock) {}

  // Picks and takes a CID for the VM named `holder`. `request` is valid (see vm_validation).
  // ALREADY_EXISTS CID_IN_USE {cid, holder}; FAILED_PRECONDITION CID_QUARANTINED {cid, free_at} with RetryInfo;
  // RESOURCE_EXHAUSTED CID_RANGE_EXHAUSTED or QUOTA_EXCEEDED.
  //
  // A range or automatic request takes the next free CID after the one it took last, not the lowest: those that
  // were free longest come first.
  absl::StatusOr<Cid> Allocate(const CidRequest& request, std::string_view holder);

  // What Allocate() would answer, without taking it.
  absl::StatusOr<Cid> Peek(const CidRequest& request, std::string_view holder);

  // Gives an allocated CID back, to rest.
  void Release(Cid cid);

  // CIDs that rest now.
  size_t resting();

 private:
  struct Entry {
    std::string holder;
    bool resting = false;
    MonotonicTime free_at;
  };

  absl::StatusOr<Cid> Fixed(Cid cid, std::string_view holder) const;
  absl::StatusOr<Cid> NextFree(Cid first, Cid last, Cid after) const;
  void FreeTheRested();

  const Clock& clock_;
  std::map<Cid, Entry> taken_;                       // allocated or resting
  std::set<std::pair<MonotonicTime, Cid>> resting_;  // by the time it becomes free
  Cid last_automatic_ = kFirstAutomatic - 1;
  Cid last_in_range_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CID_ALLOCATOR_H_
