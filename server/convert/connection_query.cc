// SPDX-License-Identifier: Apache-2.0
#include "server/convert/connection_query.h"

#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/convert/paging.h"
#include "server/convert/vm_requests.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr uint32_t Bit(FlowInfo::State state) { return 1u << static_cast<uint32_t>(state); }

constexpr uint32_t kOpenStates = Bit(FlowInfo::State::kConnecting) | Bit(FlowInfo::State::kEstablished) |
                                 Bit(FlowInfo::State::kHalfClosed) | Bit(FlowInfo::State::kClosing);

void TakePage(const v1::ListConnectionsRequest& request, const std::string& instance, ConnectionQuery& query,
              std::vector<FieldViolation>& violations) {
  const absl::StatusOr<Page> page = ParsePage(request.page_size(), request.page_token());
  if (!page.ok()) {
    violations = ErrorFields(page.status());
    return;
  }
  query.size = page->size;
  if (!page->token.has_value()) return;
  // Ids go on counting while the daemon runs: a token of this start never is too old.
  if (page->token->version.epoch != instance || !absl::SimpleAtoi(page->token->after, &query.after)) {
    violations.push_back({"page_token", "is not of this start of the daemon; list again from the first page"});
  }
}

// `otherwise`: which states are meant when none is named.
void TakeStates(const google::protobuf::RepeatedField<int>& states, uint32_t otherwise, ConnectionQuery& query,
                std::vector<FieldViolation>& violations) {
  if (states.empty()) query.states = otherwise;
  for (int i = 0; i < states.size(); ++i) {
    const std::optional<FlowInfo::State> state = StateFromProto(states[i]);
    if (!state.has_value()) {
      violations.push_back({absl::StrCat("states[", i, "]"), absl::StrCat(states[i], " is no state")});
      return;
    }
    query.states |= Bit(*state);
  }
}

void TakeVm(const std::string& vm, ConnectionQuery& query, std::vector<FieldViolation>& violations) {
  query.vm = vm;
  if (vm.empty() || ToVmId(vm).ok()) return;
  violations.push_back({"vm", absl::StrCat(Quoted(vm), " is not the name of a VM; give \"vms/{vm_id}\"")});
}

void TakeOrder(const v1::ListConnectionsRequest& request, ConnectionQuery& query,
               std::vector<FieldViolation>& violations) {
  const std::string& order = request.order_by();
  if (order.empty()) return;
  if (order == "-bytes") {
    query.order = ConnectionQuery::Order::kByBytes;
  } else if (order == "-bytes_per_second") {
    query.order = ConnectionQuery::Order::kByRate;
  } else {
    violations.push_back(
        {"order_by", absl::StrCat(Quoted(order), " is no order; give \"-bytes\" or \"-bytes_per_second\"")});
    return;
  }
  if (!request.page_token().empty()) {
    violations.push_back({"page_token", absl::StrCat("is not for order_by ", Quoted(order))});
  }
}

}  // namespace

bool ConnectionQuery::Matches(const FlowInfo& flow, const FlowVms& vms) const {
  if (!Wants(flow.state)) return false;
  const auto is_it = [this](const VmSnapshotPtr& end) { return end != nullptr && end->definition->name() == vm; };
  return vm.empty() || is_it(vms.initiator) || is_it(vms.target);
}

absl::StatusOr<ConnectionQuery> ToConnectionQuery(const v1::ListConnectionsRequest& request,
                                                  const std::string& instance) {
  ConnectionQuery query;
  std::vector<FieldViolation> violations;
  TakePage(request, instance, query, violations);
  TakeStates(request.states(), kOpenStates, query, violations);
  TakeVm(request.vm(), query, violations);
  TakeOrder(request, query, violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return query;
}

absl::StatusOr<ConnectionQuery> ToConnectionQuery(const v1::WatchConnectionsRequest& request) {
  ConnectionQuery query;
  std::vector<FieldViolation> violations;
  TakeStates(request.states(), kOpenStates | Bit(FlowInfo::State::kClosed), query, violations);
  TakeVm(request.vm(), query, violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return query;
}

}  // namespace kinsock
