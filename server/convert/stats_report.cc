// SPDX-License-Identifier: Apache-2.0
#include "server/convert/stats_report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "router/close_reason.h"
#include "server/convert/proto_time.h"
#include "server/convert/stats_conversion.h"
#include "server/convert/vm_requests.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using Scope = v1::GetStatsRequest;

struct Fields {
  v1::GetStatsRequest::Scope scope;
  const std::string& vm;
  int32_t top;
  bool with_denied;
};

absl::StatusOr<StatsQuestion> Parse(const Fields& fields) {
  StatsQuestion question;
  std::vector<FieldViolation> violations;
  switch (fields.scope) {
    case Scope::SCOPE_UNSPECIFIED:
    case Scope::DAEMON:
      if (!fields.vm.empty()) {
        violations.push_back({"vm", "is for the scopes VM and PAIR; leave it empty, or set the scope"});
      }
      break;
    case Scope::VM:
      question.scope = StatsQuestion::Scope::kVm;
      break;
    case Scope::PAIR:
      question.scope = StatsQuestion::Scope::kPairs;
      break;
    default:
      violations.push_back(
          {"scope", absl::StrCat(static_cast<int>(fields.scope), " is no scope; give DAEMON, VM or PAIR")});
  }
  const bool needs_vm = fields.scope == Scope::VM;
  if (needs_vm || (fields.scope == Scope::PAIR && !fields.vm.empty())) {
    absl::StatusOr<std::string> id = ToVmId(fields.vm);
    if (id.ok())
      question.vm = *std::move(id);
    else
      violations.push_back({"vm", "is not the name of a VM; give \"vms/{vm_id}\""});
  }
  if (fields.top < 0) violations.push_back({"top", absl::StrCat(fields.top, " is negative; give 0 to 1000")});
  if (fields.top > 0 && fields.scope != Scope::PAIR) violations.push_back({"top", "is for the scope PAIR"});
  if (fields.with_denied && fields.scope != Scope::PAIR) violations.push_back({"with_denied", "is for the scope PAIR"});
  question.with_denied = fields.with_denied;
  if (fields.top > 0) question.top = std::min(static_cast<size_t>(fields.top), StatsQuestion::kMaxTop);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return question;
}

// A connection that ends in the moment of a reading may be missing from it.
uint64_t Grown(uint64_t now, uint64_t before) { return now > before ? now - before : 0; }

PairTotals::Way Grown(const PairTotals::Way& now, const PairTotals::Way& before) {
  return {Grown(now.bytes, before.bytes), Grown(now.packets, before.packets),
          Grown(now.credit_stalls, before.credit_stalls)};
}

PairTotals Grown(const PairTotals& now, const PairTotals& before) {
  return {.accepted = Grown(now.accepted, before.accepted),
          .refused = Grown(now.refused, before.refused),
          .denied = Grown(now.denied, before.denied),
          .last_denial = now.last_denial,
          .open = now.open,
          .to_target = Grown(now.to_target, before.to_target),
          .to_initiator = Grown(now.to_initiator, before.to_initiator)};
}

void SetEnd(const PairEnd& end, const VmOfDevice& vm_of, v1::PairStats::End& out) {
  const VmSnapshotPtr vm = vm_of(end.device);
  if (vm == nullptr) return;
  out.set_host(end.is_host);
  out.set_vm(vm->definition->name());
  out.set_vm_uid(vm->definition->uid);
}

void SetTotals(const PairTotals& totals, v1::PairStats& out) {
  const auto set = [](const PairTotals::Way& way, v1::PairStats::Way& to) {
    to.set_bytes(way.bytes);
    to.set_packets(way.packets);
    to.set_credit_stalls(way.credit_stalls);
  };
  out.set_connects_accepted(totals.accepted);
  out.set_connects_refused(totals.refused);
  out.set_connects_denied(totals.denied);
  if (totals.last_denial.reason != CloseReason::kNone) {
    v1::PairStats::Denial& last = *out.mutable_last_denial();
    SetTimestamp(*last.mutable_time(), totals.last_denial.time);
    last.set_port(totals.last_denial.port);
    last.set_reason(CloseReasonName(totals.last_denial.reason));
  }
  out.set_open_connections(totals.open);
  set(totals.to_target, *out.mutable_to_target());
  set(totals.to_initiator, *out.mutable_to_initiator());
}

bool IsOf(const PairKey& key, const std::string& vm, const VmOfDevice& vm_of) {
  if (vm.empty()) return true;
  for (const PairEnd& end : {key.initiator, key.target}) {
    const VmSnapshotPtr found = vm_of(end.device);
    if (found != nullptr && found->definition->id == vm) return true;
  }
  return false;
}

// Brings those of `pairs` behind the first `sorted` to these that were denied something, the last one first, but `top`
// at most. How many come first now.
size_t SortDenied(std::vector<PairInfo>& pairs, size_t sorted, size_t top) {
  const auto begin = pairs.begin() + static_cast<std::ptrdiff_t>(sorted);
  const auto end = std::partition(begin, pairs.end(), [](const PairInfo& pair) { return pair.totals.denied > 0; });
  const auto last = begin + std::min(static_cast<std::ptrdiff_t>(top), end - begin);
  std::partial_sort(begin, last, end, [](const PairInfo& a, const PairInfo& b) {
    return a.totals.last_denial.time > b.totals.last_denial.time;
  });
  return static_cast<size_t>(last - pairs.begin());
}

// Those that have carried the most since `before` first; of a stream, only those that have done anything.
void SetPairs(const StatsReading& now, const StatsReading* before, const StatsQuestion& question,
              const VmOfDevice& vm_of, v1::StatsReport& out) {
  std::vector<PairInfo> pairs;
  for (const auto& [key, totals] : now.pairs) {
    if (!IsOf(key, question.vm, vm_of)) continue;
    PairTotals grown = totals;
    if (before != nullptr) {
      const auto was = before->pairs.find(key);
      if (was != before->pairs.end()) grown = Grown(totals, was->second);
      if (grown.bytes() + grown.accepted + grown.refused == 0) continue;
    }
    pairs.push_back({key, grown});
  }
  out.set_pair_count(static_cast<uint32_t>(pairs.size()));
  const size_t count = std::min(question.top, pairs.size());
  std::partial_sort(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(count), pairs.end(),
                    [](const PairInfo& a, const PairInfo& b) {
                      const auto rank = [](const PairInfo& pair) {
                        return std::pair(pair.totals.bytes(), pair.totals.accepted + pair.totals.refused);
                      };
                      return rank(a) > rank(b);
                    });
  const size_t told = question.with_denied ? SortDenied(pairs, count, question.top) : count;
  for (size_t i = 0; i < told; ++i) {
    v1::PairStats& pair = *out.add_pairs();
    SetEnd(pairs[i].key.initiator, vm_of, *pair.mutable_initiator());
    SetEnd(pairs[i].key.target, vm_of, *pair.mutable_target());
    SetTotals(pairs[i].totals, pair);
  }
  if (question.vm.empty())
    SetTotals(before != nullptr ? Grown(now.other, before->other) : now.other, *out.mutable_other());
}

}  // namespace

absl::StatusOr<StatsQuestion> ToStatsQuestion(const v1::GetStatsRequest& request) {
  return Parse({request.scope(), request.vm(), request.top(), request.with_denied()});
}

absl::StatusOr<StatsQuestion> ToStatsQuestion(const v1::StreamStatsRequest& request) {
  return Parse({request.scope(), request.vm(), request.top(), false});
}

v1::StatsReport ToProto(const StatsReading& now, const StatsReading* before, const StatsQuestion& question,
                        const VmOfDevice& vm_of) {
  v1::StatsReport out;
  SetTimestamp(*out.mutable_time(), now.wall_time);
  if (before != nullptr) SetDuration(*out.mutable_interval(), now.time - before->time);
  if (!question.vm.empty()) out.set_vm("vms/" + question.vm);
  if (question.scope == StatsQuestion::Scope::kPairs) {
    SetPairs(now, before, question, vm_of, out);
    return out;
  }
  VmStats stats = now.stats;
  // A VM that was deleted and made again has counted from nothing.
  if (before != nullptr && before->stats.since == stats.since) stats.totals -= before->stats.totals;
  *out.mutable_stats() = ToProto(stats);
  return out;
}

}  // namespace kinsock
