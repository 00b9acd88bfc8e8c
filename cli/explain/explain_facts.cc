// SPDX-License-Identifier: Apache-2.0
#include "cli/explain/explain_facts.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "base/nearest_name.h"
#include "cli/call/ask.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

constexpr char kHost[] = "host";
constexpr uint32_t kHostCid = 2;
// As many VMs as a daemon has, as many connections as one may look for, as many CIDs.
constexpr int kMostPages = 17;

class Finder {
 public:
  Finder(Client& client, ExplainFacts& facts) : client_(client), facts_(facts) {}

  ExitCode Find() {
    facts_.now = std::time(nullptr);
    if (const ExitCode code = FindEnd(facts_.source, false); code != kExitOk) return code;
    if (!facts_.source.host && !facts_.source.vm.has_value()) return kExitOk;
    if (const ExitCode code = FindEnd(facts_.target, true); code != kExitOk) return code;
    if (!facts_.target.host && !facts_.target.vm.has_value()) return kExitOk;
    if (const ExitCode code = AskPolicy(); code != kExitOk) return code;
    FindForward();
    FindAttempts();
    return kExitOk;
  }

 private:
  ExitCode FindEnd(ExplainFacts::End& end, bool may_be_cid) {
    if (end.host) return kExitOk;
    uint32_t cid = 0;
    if (may_be_cid && absl::SimpleAtoi(end.said, &cid)) return FindByCid(end, cid);
    v1::GetVmRequest request;
    request.set_name(FullVmName(end.said));
    request.set_view(v1::FULL);
    v1::Vm vm;
    const grpc::Status status = Ask(client_, client_.vms(), &v1::VmService::Stub::GetVm, request, vm);
    if (status.ok()) end.vm = std::move(vm);
    if (status.ok()) return kExitOk;
    // What cannot be a name is not there either.
    const auto code = status.error_code();
    if (code != grpc::StatusCode::NOT_FOUND && code != grpc::StatusCode::INVALID_ARGUMENT)
      return client_.Report(status);
    return FindSimilar(end);
  }

  ExitCode FindSimilar(ExplainFacts::End& end) {
    std::vector<std::string> names;
    const ExitCode code = ForEachVm([&](const v1::Vm& vm) { names.push_back(ShortVmName(vm.name())); });
    if (code != kExitOk) return code;
    end.similar = NearestName(ShortVmName(end.said), {names.begin(), names.end()});
    FindLease(end, [&](const v1::CidLease& lease) { return lease.holder() == FullVmName(end.said); });
    return kExitOk;
  }

  // Who has `cid` where the source is, or why nobody has it.
  ExitCode FindByCid(ExplainFacts::End& end, uint32_t cid) {
    const std::string network = NetworkOf(*facts_.source.vm);
    std::vector<v1::Vm> all;
    const ExitCode code = ForEachVm([&](const v1::Vm& vm) {
      if (vm.status().cid() == cid && NetworkOf(vm) == network) end.vm = vm;
      if (vm.status().cid() == cid && NetworkOf(vm) != network) end.other_network = vm;
      all.push_back(vm);
    });
    if (code != kExitOk || end.vm.has_value()) return code;
    FindLease(end, [&](const v1::CidLease& lease) { return lease.cid() == cid; });
    for (const v1::Vm& vm : all) {
      const bool has_another = end.lease.has_value() && vm.name() == end.lease->holder() && NetworkOf(vm) == network;
      if (has_another && end.lease->state() == v1::CidLease::QUARANTINED) end.moved = vm;
    }
    return kExitOk;
  }

  ExitCode ForEachVm(const std::function<void(const v1::Vm&)>& take) {
    v1::ListVmsRequest request;
    request.set_view(v1::FULL);
    const grpc::Status status = ForEachPage(
        client_, client_.vms(), &v1::VmService::Stub::ListVms, request,
        [&](const v1::ListVmsResponse& list) {
          for (const v1::Vm& vm : list.vms()) take(vm);
        },
        kMostPages);
    return status.ok() ? kExitOk : client_.Report(status);
  }

  // A daemon that does not tell knows of none.
  void FindLease(ExplainFacts::End& end, const std::function<bool(const v1::CidLease&)>& wanted) {
    v1::ListCidsRequest request;
    request.set_parent(facts_.source.vm.has_value() ? NetworkOf(*facts_.source.vm) : NetworkOf(v1::Vm()));
    ForEachPage(
        client_, client_.networks(), &v1::NetworkService::Stub::ListCids, request,
        [&](const v1::ListCidsResponse& list) {
          for (const v1::CidLease& lease : list.cids()) {
            if (lease.state() != v1::CidLease::ALLOCATED && wanted(lease)) end.lease = lease;
          }
        },
        kMostPages);
  }

  ExitCode AskPolicy() {
    const std::optional<v1::Vm>& from = facts_.source.vm;
    const std::optional<v1::Vm>& to = facts_.target.vm;
    if (from.has_value() && to.has_value() && NetworkOf(*from) != NetworkOf(*to)) return kExitOk;
    v1::TestPolicyRequest request;
    request.set_from(from.has_value() ? from->name() : kHost);
    request.set_to(to.has_value() ? to->name() : kHost);
    request.set_port(facts_.port);
    facts_.policy.emplace();
    const grpc::Status status =
        Ask(client_, client_.networks(), &v1::NetworkService::Stub::TestPolicy, request, *facts_.policy);
    // An older daemon has no policies.
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) facts_.policy.reset();
    return status.ok() || !facts_.policy.has_value() ? kExitOk : client_.Report(status);
  }

  // A daemon that does not tell has none.
  void FindForward() {
    if (!facts_.source.host && !facts_.target.host) return;
    const auto wanted = facts_.target.host ? v1::Forward::FROM_GUEST : v1::Forward::TO_GUEST;
    v1::ListForwardsRequest request;
    request.set_vm(facts_.target.host ? facts_.source.vm->name() : facts_.target.vm->name());
    ForEachPage(
        client_, client_.forwards(), &v1::ForwardService::Stub::ListForwards, request,
        [&](const v1::ListForwardsResponse& list) {
          for (const v1::Forward& forward : list.forwards()) {
            if (forward.direction() == wanted && forward.guest_port() == facts_.port) facts_.forward = forward;
          }
        },
        kMostPages);
  }

  // What the source has tried lately. A daemon that does not tell knows of nothing.
  void FindAttempts() {
    v1::ListConnectionsRequest request;
    request.set_vm(facts_.target.host ? facts_.source.vm->name() : facts_.target.vm->name());
    for (int state = v1::Connection::State_MIN + 1; state <= v1::Connection::State_MAX; ++state) {
      request.add_states(static_cast<v1::Connection::State>(state));
    }
    ForEachPage(
        client_, client_.connections(), &v1::ConnectionService::Stub::ListConnections, request,
        [&](const v1::ListConnectionsResponse& list) {
          for (const v1::Connection& connection : list.connections()) {
            if (IsAttempt(connection)) facts_.attempts.push_back(connection);
          }
        },
        kMostPages);
    using google::protobuf::util::TimeUtil;
    std::stable_sort(
        facts_.attempts.begin(), facts_.attempts.end(), [](const v1::Connection& a, const v1::Connection& b) {
          return TimeUtil::TimestampToNanoseconds(a.start_time()) < TimeUtil::TimestampToNanoseconds(b.start_time());
        });
  }

  static bool IsEnd(const v1::Endpoint& endpoint, const ExplainFacts::End& end) {
    return end.host ? endpoint.cid() == kHostCid : endpoint.vm() == end.vm->name();
  }
  bool IsAttempt(const v1::Connection& connection) const {
    return IsEnd(connection.initiator(), facts_.source) && IsEnd(connection.target(), facts_.target) &&
           connection.target().port() == facts_.port;
  }

  Client& client_;
  ExplainFacts& facts_;
};

}  // namespace

ExitCode FindFacts(Client& client, ExplainFacts& facts) { return Finder(client, facts).Find(); }

}  // namespace kinsock
