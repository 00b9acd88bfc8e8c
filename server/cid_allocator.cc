// SPDX-License-Identifier: Apache-2.0
#include "server/cid_allocator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "server/error.h"

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
  if (const auto before = taken_.find(*cid); before != taken_.end()) resting_.erase({before->second.free_at, *cid});
  taken_[*cid] = {std::string(holder), false, {}, ""};
  if (request.kind == CidRequest::Kind::kAutomatic) cursors_.automatic = *cid;
  if (request.kind == CidRequest::Kind::kRange) cursors_.in_range = *cid;
  return cid;
}

absl::StatusOr<Cid> CidAllocator::Peek(const CidRequest& request, std::string_view holder) {
  FreeTheRested();
  if (resting_.size() >= kMaxResting) {
    return QuotaExceeded("resting CIDs", kMaxResting, "VMs are created and deleted too fast; wait a minute");
  }
  switch (request.kind) {
    case CidRequest::Kind::kFixed:
      return Fixed(request.first, holder);
    case CidRequest::Kind::kRange:
      return NextFree(request.first, request.last, cursors_.in_range);
    case CidRequest::Kind::kAutomatic:
      break;
  }
  return NextFree(kFirstAutomatic, kLastAutomatic, cursors_.automatic);
}

absl::StatusOr<Cid> CidAllocator::Fixed(Cid cid, std::string_view holder) const {
  const auto entry = taken_.find(cid);
  if (entry == taken_.end()) return cid;
  const std::string text = std::to_string(cid);
  if (!entry->second.resting) {
    return Error(absl::StatusCode::kAlreadyExists, "CID_IN_USE",
                 absl::StrCat("CID ", cid, " belongs to ", entry->second.holder,
                              "; choose another, or leave it to the daemon"))
        .With("cid", text)
        .With("holder", entry->second.holder)
        .Resource("kinsock.v1.Vm", entry->second.holder);
  }
  if (entry->second.holder == holder) return cid;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(entry->second.free_at - clock_.Now());
  return Error(absl::StatusCode::kFailedPrecondition, "CID_QUARANTINED",
               absl::StrFormat("CID %u belonged to %s until lately and rests for another %.1f s, so that "
                               "nobody takes one machine for the other; wait, or choose another",
                               cid, entry->second.holder, static_cast<double>(left.count()) / 1000))
      .With("cid", text)
      .With("free_at", WallText(left))
      .RetryAfter(left);
}

// Walks the taken CIDs from `after`, which are few; the free ones, up to 2^32, are never walked.
absl::StatusOr<Cid> CidAllocator::NextFree(Cid first, Cid last, Cid after) const {
  const Cid start = after >= first && after < last ? after + 1 : first;
  const auto search = [&](Cid from, Cid to) -> Cid {
    auto entry = taken_.lower_bound(from);
    while (entry != taken_.end() && entry->first == from) {
      if (from == to) return 0;
      ++from;
      ++entry;
    }
    return from;
  };
  Cid cid = search(start, last);
  if (cid == 0 && start > first) cid = search(first, start - 1);
  if (cid != 0) return cid;
  return Error(absl::StatusCode::kResourceExhausted, "CID_RANGE_EXHAUSTED",
               absl::StrCat("all CIDs from ", first, " to ", last,
                            " are taken or rest; delete a VM, widen the range, or wait a minute"))
      .With("first", std::to_string(first))
      .With("last", std::to_string(last))
      .Quota("cid range", "every CID of the range is taken or rests");
}

bool CidAllocator::Claim(Cid cid, std::string_view holder) {
  const auto [found, is_new] = taken_.try_emplace(cid);
  Entry& entry = found->second;
  if (!is_new && !entry.resting) {
    if (entry.holder == holder) return true;
    entry.heir = holder;
    return false;
  }
  if (entry.resting) resting_.erase({entry.free_at, cid});
  entry = {std::string(holder), false, {}, ""};
  return true;
}

void CidAllocator::Rest(Cid cid, std::string_view holder, std::chrono::nanoseconds left) {
  if (left <= std::chrono::nanoseconds(0)) return;
  const auto [found, is_new] = taken_.try_emplace(cid);
  if (!is_new) return;
  // A wall clock that was set back would have it rest for ever.
  const MonotonicTime free_at = clock_.Now() + std::min<std::chrono::nanoseconds>(left, kRest);
  found->second = {std::string(holder), true, free_at, ""};
  resting_.insert({free_at, cid});
}

bool CidAllocator::IsHeld(Cid cid, std::string_view holder) const {
  const auto entry = taken_.find(cid);
  return entry != taken_.end() && !entry->second.resting && entry->second.holder == holder;
}

void CidAllocator::Release(Cid cid, std::string_view holder) {
  const auto found = taken_.find(cid);
  if (found == taken_.end() || found->second.resting) return;
  Entry& entry = found->second;
  if (entry.holder != holder) {
    if (entry.heir == holder) entry.heir.clear();
    return;
  }
  if (!entry.heir.empty()) {
    entry.holder = std::exchange(entry.heir, std::string());
    return;
  }
  entry.resting = true;
  entry.free_at = clock_.Now() + kRest;
  resting_.insert({entry.free_at, cid});
}

size_t CidAllocator::resting() {
  FreeTheRested();
  return resting_.size();
}

void CidAllocator::FreeTheRested() {
  const MonotonicTime now = clock_.Now();
  while (!resting_.empty() && resting_.begin()->first <= now) {
    taken_.erase(resting_.begin()->second);
    resting_.erase(resting_.begin());
  }
}

}  // namespace kinsock
