// SPDX-License-Identifier: Apache-2.0
#include "server/manager/cid_allocator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// A moment of the monotonic clock as a person reads it.
std::string WallText(std::chrono::nanoseconds from_now) {
  return absl::FormatTime(absl::RFC3339_sec, absl::Now() + absl::FromChrono(from_now), absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<Cid> CidAllocator::Allocate(const CidRequest& request, std::string_view holder) {
  absl::StatusOr<Cid> cid = Peek(request, holder);
  if (!cid.ok()) return cid;
  Take(request, *cid);
  Entry entry{.holder = std::string(holder)};
  if (const auto found = taken_.find(*cid); found != taken_.end()) {
    entry.before = {found->second.holder, found->second.state, found->second.free_at, found->second.was_used};
  }
  Put(*cid, std::move(entry));
  Remember(holder, *cid);
  return cid;
}

absl::StatusOr<Cid> CidAllocator::Peek(const CidRequest& request, std::string_view holder) {
  FreeTheRested();
  if (ending_.size() >= kMaxResting) {
    return QuotaExceeded("resting and reserved CIDs", kMaxResting,
                         "VMs are created and deleted too fast, or too much is reserved; wait a minute");
  }
  switch (request.kind) {
    case CidRequest::Kind::kFixed:
      return Fixed(request.first, holder);
    case CidRequest::Kind::kReserved:
      return Reserved(request.first);
    case CidRequest::Kind::kRange:
      return Choose(request, request.first, request.last, cursors_.in_range, holder);
    case CidRequest::Kind::kAutomatic:
      break;
  }
  return Choose(request, rules_.cids.first, rules_.cids.last, cursors_.automatic, holder);
}

absl::StatusOr<Cid> CidAllocator::Reserve(const CidRequest& request, std::string_view holder,
                                          std::chrono::nanoseconds time) {
  // Nobody's own: who is said to be the holder need not be the one who asks.
  absl::StatusOr<Cid> cid = Peek(request, "");
  if (!cid.ok()) return cid;
  Take(request, *cid);
  Put(*cid, {.holder = std::string(holder), .state = State::kReserved, .free_at = clock_.Now() + time});
  return cid;
}

void CidAllocator::Restore(Cid cid, std::string_view holder, std::chrono::nanoseconds left, bool was_used) {
  if (left <= std::chrono::nanoseconds(0) || taken_.count(cid) > 0) return;
  Put(cid,
      {.holder = std::string(holder), .state = State::kReserved, .free_at = clock_.Now() + left, .was_used = was_used});
}

// A choice of the daemon's: the next one goes on from there.
void CidAllocator::Take(const CidRequest& request, Cid cid) {
  if (request.kind == CidRequest::Kind::kAutomatic) cursors_.automatic = cid;
  if (request.kind == CidRequest::Kind::kRange) cursors_.in_range = cid;
}

absl::StatusOr<Cid> CidAllocator::Choose(const CidRequest& request, Cid first, Cid last, Cid after,
                                         std::string_view holder) const {
  if (request.sticky) {
    const auto had = last_of_.find(std::string(holder));
    if (had != last_of_.end() && had->second >= first && had->second <= last && Fixed(had->second, holder).ok()) {
      return had->second;
    }
  }
  return NextFree(first, last, after);
}

absl::StatusOr<Cid> CidAllocator::Reserved(Cid cid) const {
  const auto entry = taken_.find(cid);
  if (entry != taken_.end() && entry->second.state == State::kReserved) return cid;
  return Error(absl::StatusCode::kNotFound, "CID_NOT_FOUND",
               absl::StrCat("CID ", cid, " is not reserved, or not any more; reserve it, or ask for its number"))
      .With("cid", std::to_string(cid));
}

absl::StatusOr<Cid> CidAllocator::Fixed(Cid cid, std::string_view holder) const {
  const auto entry = taken_.find(cid);
  if (entry == taken_.end()) return cid;
  const std::string text = std::to_string(cid);
  const bool own = entry->second.holder == holder && !holder.empty();
  if (own && entry->second.state != State::kAllocated) return cid;
  if (entry->second.state != State::kResting) {
    const bool reserved = entry->second.state == State::kReserved;
    Error error(absl::StatusCode::kAlreadyExists, "CID_IN_USE",
                absl::StrCat("CID ", cid, reserved ? " is reserved for " : " belongs to ", entry->second.holder,
                             "; choose another, or leave it to the daemon"));
    error.With("cid", text).With("holder", entry->second.holder);
    if (!reserved) error.Resource("kinsock.v1.Vm", entry->second.holder);
    return absl::Status(error);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(entry->second.free_at - clock_.Now());
  return Error(absl::StatusCode::kFailedPrecondition, "CID_QUARANTINED",
               absl::StrFormat("CID %u belonged to %s until lately and rests for another %.1f s, so that "
                               "nobody takes one machine for the other; wait, or choose another",
                               cid, entry->second.holder, static_cast<double>(left.count()) / 1000))
      .With("cid", text)
      .With("free_at", WallText(left))
      .RetryAfter(left);
}

void CidAllocator::SetRules(NetworkSpec rules) {
  rules_ = std::move(rules);
  range_ = 0;
  // From one stretch between reserved ranges, which may overlap, to the next.
  std::vector<CidSpan> reserved = rules_.reserved;
  std::sort(reserved.begin(), reserved.end(), [](const CidSpan& a, const CidSpan& b) { return a.first < b.first; });
  uint64_t next = rules_.cids.first;
  for (const CidSpan& span : reserved) {
    if (span.first > rules_.cids.last) break;
    if (span.first > next) range_ += span.first - next;
    next = std::max(next, uint64_t{span.last} + 1);
  }
  if (next <= rules_.cids.last) range_ += rules_.cids.last - next + 1;
  taken_of_range_ = static_cast<uint64_t>(
      std::count_if(taken_.begin(), taken_.end(), [this](const auto& entry) { return IsChoosable(entry.first); }));
}

bool CidAllocator::IsChoosable(Cid cid) const {
  const auto has = [cid](const CidSpan& span) { return span.first <= cid && cid <= span.last; };
  return has(rules_.cids) && std::none_of(rules_.reserved.begin(), rules_.reserved.end(), has);
}

// The first CID from `cid` on that is in no reserved range; 0: none.
Cid CidAllocator::Skip(Cid cid) const {
  for (bool moved = true; moved;) {
    moved = false;
    for (const CidSpan& range : rules_.reserved) {
      if (cid < range.first || cid > range.last) continue;
      if (range.last >= kLastGuestCid) return 0;
      cid = range.last + 1;
      moved = true;
    }
  }
  return cid;
}

// Walks the taken CIDs from `after`, which are few, and the reserved ranges; the free ones, up to 2^32, are never
// walked.
absl::StatusOr<Cid> CidAllocator::NextFree(Cid first, Cid last, Cid after) const {
  const Cid start = after >= first && after < last ? after + 1 : first;
  const auto search = [&](Cid from, Cid to) -> Cid {
    auto entry = taken_.lower_bound(from);
    while (true) {
      const Cid open = Skip(from);
      if (open == 0 || open > to) return 0;
      if (open != from) {
        from = open;
        entry = taken_.lower_bound(from);
      }
      if (entry == taken_.end() || entry->first != from) return from;
      if (from == to) return 0;
      ++from;
      ++entry;
    }
  };
  Cid cid = search(start, last);
  if (cid == 0 && start > first) cid = search(first, start - 1);
  if (cid != 0) return cid;
  return Error(absl::StatusCode::kResourceExhausted, "CID_RANGE_EXHAUSTED",
               absl::StrCat("all CIDs from ", first, " to ", last,
                            " are taken, reserved or rest; delete a VM, widen the range, or wait a minute"))
      .With("first", std::to_string(first))
      .With("last", std::to_string(last))
      .Quota("cid range", "every CID of the range is taken, reserved or rests");
}

absl::Status CidAllocator::CheckRelease(Cid cid, bool force) {
  FreeTheRested();
  const auto entry = taken_.find(cid);
  if (entry == taken_.end()) {
    return Error(absl::StatusCode::kNotFound, "CID_NOT_FOUND", absl::StrCat("CID ", cid, " is free"))
        .With("cid", std::to_string(cid));
  }
  if (entry->second.state == State::kAllocated) {
    return Error(absl::StatusCode::kFailedPrecondition, "CID_IN_USE",
                 absl::StrCat("CID ", cid, " belongs to ", entry->second.holder, "; delete that VM first"))
        .With("cid", std::to_string(cid))
        .With("holder", entry->second.holder)
        .Precondition("CID_IN_USE", entry->second.holder, "delete the VM");
  }
  if (entry->second.state == State::kResting && !force) {
    return Error(absl::StatusCode::kFailedPrecondition, "CID_QUARANTINED",
                 absl::StrCat("CID ", cid, " belonged to ", entry->second.holder,
                              " until lately and rests; wait, or set force"))
        .With("cid", std::to_string(cid))
        .RetryAfter(std::chrono::ceil<std::chrono::milliseconds>(entry->second.free_at - clock_.Now()));
  }
  return absl::OkStatus();
}

bool CidAllocator::WouldRest(Cid cid) const {
  const auto entry = taken_.find(cid);
  return entry != taken_.end() && entry->second.state == State::kReserved && entry->second.was_used &&
         rules_.quarantine.count() > 0;
}

bool CidAllocator::ReleaseLease(Cid cid, bool force) {
  if (!CheckRelease(cid, force).ok()) return false;
  const bool rests = WouldRest(cid) && !force;
  const std::string holder = taken_.at(cid).holder;
  if (rests) {
    Put(cid, {.holder = holder, .state = State::kResting, .free_at = clock_.Now() + rules_.quarantine});
  } else {
    Erase(cid);
  }
  return rests;
}

bool CidAllocator::Claim(Cid cid, std::string_view holder) {
  const auto found = taken_.find(cid);
  if (found != taken_.end() && found->second.state == State::kAllocated) {
    if (found->second.holder == holder) return true;
    found->second.heir = holder;
    return false;
  }
  Put(cid, {.holder = std::string(holder)});
  Remember(holder, cid);
  return true;
}

void CidAllocator::Rest(Cid cid, std::string_view holder, std::chrono::nanoseconds left) {
  if (left <= std::chrono::nanoseconds(0) || taken_.count(cid) > 0) return;
  // A wall clock that was set back would have it rest for ever.
  const MonotonicTime free_at = clock_.Now() + std::min<std::chrono::nanoseconds>(left, rules_.quarantine);
  Put(cid, {.holder = std::string(holder), .state = State::kResting, .free_at = free_at});
  Remember(holder, cid);
}

bool CidAllocator::IsHeld(Cid cid, std::string_view holder) const {
  const auto entry = taken_.find(cid);
  return entry != taken_.end() && entry->second.state == State::kAllocated && entry->second.holder == holder;
}

void CidAllocator::Release(Cid cid, std::string_view holder, std::chrono::nanoseconds keep) {
  const auto found = taken_.find(cid);
  if (found == taken_.end() || found->second.state != State::kAllocated) return;
  Entry& entry = found->second;
  if (entry.holder != holder) {
    if (entry.heir == holder) entry.heir.clear();
    return;
  }
  if (!entry.heir.empty()) {
    entry.holder = std::exchange(entry.heir, std::string());
    return;
  }
  if (keep.count() > 0) {
    return Put(
        cid,
        {.holder = std::string(holder), .state = State::kReserved, .free_at = clock_.Now() + keep, .was_used = true});
  }
  if (rules_.quarantine.count() == 0) return Erase(cid);
  Put(cid, {.holder = std::string(holder), .state = State::kResting, .free_at = clock_.Now() + rules_.quarantine});
}

void CidAllocator::GiveBack(Cid cid, std::string_view holder, bool was_used) {
  if (PutBack(cid, holder)) return;
  if (!was_used && IsHeld(cid, holder) && taken_.at(cid).heir.empty()) return Erase(cid);
  Release(cid, holder);
}

void CidAllocator::Undo(Cid cid, std::string_view holder, Cid had) {
  Remember(holder, had);
  if (!PutBack(cid, holder) && IsHeld(cid, holder)) Erase(cid);
}

// What was there before `holder` had it. False: nothing, or he has it no more.
bool CidAllocator::PutBack(Cid cid, std::string_view holder) {
  const auto found = taken_.find(cid);
  const bool was_taken = found != taken_.end() && found->second.state == State::kAllocated &&
                         found->second.holder == holder && found->second.heir.empty() &&
                         found->second.before.has_value();
  if (!was_taken) return false;
  const Former before = *found->second.before;
  Put(cid, {.holder = before.holder, .state = before.state, .free_at = before.free_at, .was_used = before.was_used});
  return true;
}

void CidAllocator::Put(Cid cid, Entry entry) {
  Erase(cid);
  if (entry.state != State::kAllocated) ending_.insert({entry.free_at, cid});
  ++CountOf(entry.state);
  if (IsChoosable(cid)) ++taken_of_range_;
  taken_[cid] = std::move(entry);
}

void CidAllocator::Erase(Cid cid) {
  const auto found = taken_.find(cid);
  if (found == taken_.end()) return;
  ending_.erase({found->second.free_at, cid});
  --CountOf(found->second.state);
  if (IsChoosable(cid)) --taken_of_range_;
  taken_.erase(found);
}

void CidAllocator::Remember(std::string_view holder, Cid cid) {
  const auto [entry, is_new] = last_of_.insert_or_assign(std::string(holder), cid);
  if (!is_new) return;
  remembered_.push_back(entry->first);
  if (remembered_.size() <= kMaxRemembered) return;
  last_of_.erase(remembered_.front());
  remembered_.pop_front();
}

CidAllocator::Counts CidAllocator::counts() {
  FreeTheRested();
  return {.by_state = by_state_, .range = range_, .free = range_ - taken_of_range_};
}

std::vector<CidAllocator::Lease> CidAllocator::List(Cid after, size_t max) {
  FreeTheRested();
  std::vector<Lease> list;
  for (auto entry = taken_.upper_bound(after); entry != taken_.end() && list.size() < max; ++entry) {
    const auto& [cid, what] = *entry;
    const bool ends = what.state != State::kAllocated;
    list.push_back({.cid = cid,
                    .state = what.state,
                    .holder = what.holder,
                    .left = ends ? what.free_at - clock_.Now() : std::chrono::nanoseconds(0)});
  }
  return list;
}

void CidAllocator::FreeTheRested() {
  const MonotonicTime now = clock_.Now();
  while (!ending_.empty() && ending_.begin()->first <= now) Erase(ending_.begin()->second);
}

}  // namespace kinsock
