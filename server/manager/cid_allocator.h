// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_CID_ALLOCATOR_H_
#define KINSOCK_SERVER_MANAGER_CID_ALLOCATOR_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "router/cid.h"
#include "server/model/network.h"
#include "server/model/saved_state.h"
#include "server/model/vm_spec.h"

namespace kinsock {

// Who has which CID of one network. Two VMs never have one; and one that was given back rests before another VM may
// have it, so that a guest which still addresses the old machine does not reach a new one.
//
//     free -> reserved (until it expires) -> allocated -> resting (NetworkSpec::quarantine) -> free
//       \-----------------------------------^    ^-----------'  by a VM of the same name: it is the same machine to its
//                                                                 peers
//
// A VM whose CID somebody else has, by the configuration file, waits for it (Claim).
//
// Thread: main.
class CidAllocator {
 public:
  static constexpr std::chrono::milliseconds kRest = NetworkSpec::kDefaultQuarantine;
  static constexpr Cid kFirstAutomatic = NetworkSpec::kDefaultCids.first;
  static constexpr Cid kLastAutomatic = NetworkSpec::kDefaultCids.last;

  // Resting and reserved CIDs cost memory; creating and deleting VMs faster than this many a minute is no honest load.
  // Reached: QUOTA_EXCEEDED until some are free again.
  static constexpr size_t kMaxResting = 65536;

  // Names of VMs whose last CID is remembered for `sticky`. Beyond: the oldest is forgotten, and gets another.
  static constexpr size_t kMaxRemembered = 65536;

  // What is with a CID that is not free.
  struct Lease {
    enum class State : uint8_t { kAllocated, kReserved, kResting };
    Cid cid = 0;
    State state = State::kAllocated;
    std::string holder;
    std::chrono::nanoseconds left{0};  // kReserved, kResting: until it is free
  };

  explicit CidAllocator(const Clock& clock, NetworkSpec rules = {}) : clock_(clock) { SetRules(std::move(rules)); }

  // From now on; what rests or is reserved keeps its time, and VMs keep their CIDs.
  void SetRules(NetworkSpec rules);
  std::chrono::milliseconds rest() const { return rules_.quarantine; }

  // Picks and takes a CID for the VM named `holder`. `request` is valid (see vm_validation).
  // ALREADY_EXISTS CID_IN_USE {cid, holder}; FAILED_PRECONDITION CID_QUARANTINED {cid, free_at} with RetryInfo;
  // NOT_FOUND CID_NOT_FOUND for a reservation that is not there; RESOURCE_EXHAUSTED CID_RANGE_EXHAUSTED or
  // QUOTA_EXCEEDED.
  //
  // A range or automatic request takes the next free CID after the one it took last, not the lowest: those that
  // were free longest come first.
  absl::StatusOr<Cid> Allocate(const CidRequest& request, std::string_view holder);

  // What Allocate() would answer, without taking it.
  absl::StatusOr<Cid> Peek(const CidRequest& request, std::string_view holder);

  // The same for a VM that is to come: keeps the CID for `time`. Errors as of Allocate().
  absl::StatusOr<Cid> Reserve(const CidRequest& request, std::string_view holder, std::chrono::nanoseconds time);
  // A reservation from before the daemon was. `was_used`: some VM had the CID before.
  void Restore(Cid cid, std::string_view holder, std::chrono::nanoseconds left, bool was_used);

  // Whether ReleaseLease() would do it: NOT_FOUND CID_NOT_FOUND; FAILED_PRECONDITION CID_IN_USE, CID_QUARANTINED.
  absl::Status CheckRelease(Cid cid, bool force);
  // Ends a reservation, or with `force` a rest. True: it rests now, for that a VM had it.
  bool ReleaseLease(Cid cid, bool force);
  bool WouldRest(Cid cid) const;

  // The CID of a VM that was there before the daemon was: `holder` has it from here on, whether it rested or not.
  // False: somebody else has it; it becomes `holder`'s when that is released, and nobody else's.
  bool Claim(Cid cid, std::string_view holder);
  // `cid` was `holder`'s and rests for as long again, at most as long as the rules say.
  void Rest(Cid cid, std::string_view holder, std::chrono::nanoseconds left);

  bool IsHeld(Cid cid, std::string_view holder) const;

  // Gives what `holder` has of the CID back: it rests, or goes to the one who waits for it; or `holder` waits no more.
  // `keep`: not zero: it is reserved for `holder` for so long instead.
  void Release(Cid cid, std::string_view holder, std::chrono::nanoseconds keep = std::chrono::nanoseconds(0));

  // The same for a VM that could not be made and that nobody was told of: a reservation that it had taken is there
  // again, until its time. `was_used`: a guest may have had it: else it does not rest.
  void GiveBack(Cid cid, std::string_view holder, bool was_used);

  // The same for a VM that keeps `had`, which it has still: as if Allocate() had never been asked.
  void Undo(Cid cid, std::string_view holder, Cid had);

  // CIDs that rest now.
  size_t resting() { return counts().of(Lease::State::kResting); }

  // How full the network is.
  struct Counts {
    std::array<size_t, 3> by_state{};  // by Lease::State, chosen by whomever
    uint64_t range = 0;                // that the daemon may choose from
    uint64_t free = 0;                 // of these

    size_t of(Lease::State state) const { return by_state[static_cast<size_t>(state)]; }
  };
  Counts counts();

  // What is not free, in the order of the CIDs, from the first after `after` on, at most `max`.
  std::vector<Lease> List(Cid after, size_t max);

  // Where the next choice begins.
  CidCursors cursors() const { return cursors_; }
  void set_cursors(const CidCursors& cursors) { cursors_ = cursors; }

 private:
  using State = Lease::State;
  struct Former {
    std::string holder;
    State state = State::kReserved;  // or kResting
    MonotonicTime free_at;
    bool was_used = false;
  };
  struct Entry {
    std::string holder;
    State state = State::kAllocated;
    MonotonicTime free_at;         // kReserved, kResting
    bool was_used = false;         // kReserved: it rests when it is given back
    std::string heir;              // waits for it; empty: nobody
    std::optional<Former> before;  // kAllocated: what was taken for it
  };

  absl::StatusOr<Cid> Fixed(Cid cid, std::string_view holder) const;
  absl::StatusOr<Cid> Reserved(Cid cid) const;
  absl::StatusOr<Cid> Choose(const CidRequest& request, Cid first, Cid last, Cid after, std::string_view holder) const;
  absl::StatusOr<Cid> NextFree(Cid first, Cid last, Cid after) const;
  Cid Skip(Cid cid) const;
  bool IsChoosable(Cid cid) const;
  size_t& CountOf(State state) { return by_state_[static_cast<size_t>(state)]; }
  void Take(const CidRequest& request, Cid cid);
  bool PutBack(Cid cid, std::string_view holder);
  void Put(Cid cid, Entry entry);
  void Erase(Cid cid);
  void Remember(std::string_view holder, Cid cid);
  void FreeTheRested();

  const Clock& clock_;
  NetworkSpec rules_;
  std::map<Cid, Entry> taken_;
  std::set<std::pair<MonotonicTime, Cid>> ending_;  // kReserved and kResting, by the time it becomes free
  std::array<size_t, 3> by_state_{};                // entries of taken_
  uint64_t range_ = 0;                              // CIDs that are choosable
  uint64_t taken_of_range_ = 0;                     // entries of taken_ that are
  CidCursors cursors_;
  std::unordered_map<std::string, Cid> last_of_;  // holder -> what it had last
  std::deque<std::string> remembered_;            // its keys, oldest first
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_CID_ALLOCATOR_H_
