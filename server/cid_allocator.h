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
#include "server/saved_state.h"
#include "server/vm_spec.h"

namespace kinsock {

// Who has which CID. Two VMs never have one; and one that was given back rests before another VM may have it, so
// that a guest which still addresses the old machine does not reach a new one.
//
//     free -> allocated -> resting (kRest) -> free
//                 ^-----------'  by a VM of the same name: it is the same machine to its peers
//
// A VM whose CID somebody else has, by the configuration file, waits for it (Claim).
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

  // The CID of a VM that was there before the daemon was: `holder` has it from here on, whether it rested or not.
  // False: somebody else has it; it becomes `holder`'s when that is released, and nobody else's.
  bool Claim(Cid cid, std::string_view holder);
  // `cid` was `holder`'s and rests for as long again, at most kRest.
  void Rest(Cid cid, std::string_view holder, std::chrono::nanoseconds left);

  bool IsHeld(Cid cid, std::string_view holder) const;

  // Gives what `holder` has of the CID back: it rests, or goes to the one who waits for it; or `holder` waits no more.
  void Release(Cid cid, std::string_view holder);

  // CIDs that rest now.
  size_t resting();

  // Where the next choice begins.
  CidCursors cursors() const { return cursors_; }
  void set_cursors(const CidCursors& cursors) { cursors_ = cursors; }

 private:
  struct Entry {
    std::string holder;
    bool resting = false;
    MonotonicTime free_at;
    std::string heir;  // waits for it; empty: nobody
  };

  absl::StatusOr<Cid> Fixed(Cid cid, std::string_view holder) const;
  absl::StatusOr<Cid> NextFree(Cid first, Cid last, Cid after) const;
  void FreeTheRested();

  const Clock& clock_;
  std::map<Cid, Entry> taken_;                       // allocated or resting
  std::set<std::pair<MonotonicTime, Cid>> resting_;  // by the time it becomes free
  CidCursors cursors_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CID_ALLOCATOR_H_
