// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_CONNECTION_QUERY_H_
#define KINSOCK_SERVER_CONVERT_CONNECTION_QUERY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/connection_service.pb.h"
#include "router/flow_info.h"
#include "server/convert/connection_conversion.h"

namespace kinsock {

// Which connections a request is about. Plain value; any thread.
struct ConnectionQuery {
  enum class Order : uint8_t { kById, kByBytes, kByRate };

  size_t size = 0;     // how many at most
  uint64_t after = 0;  // the id of the last connection of the page before
  Order order = Order::kById;
  std::string vm;       // "vms/{id}" of an end; empty: any
  uint32_t states = 0;  // a bit for each FlowInfo::State

  bool Wants(FlowInfo::State state) const { return (states & (1u << static_cast<uint32_t>(state))) != 0; }
  bool wants_closed() const { return Wants(FlowInfo::State::kClosed); }
  // Whether `flow` is in a state that is wanted, and one of `vms`, its ends, is.
  bool Matches(const FlowInfo& flow, const FlowVms& vms) const;
};

// INVALID_ARGUMENT FIELD_INVALID, with every bad field. `instance`: of the names of connections.
absl::StatusOr<ConnectionQuery> ToConnectionQuery(const v1::ListConnectionsRequest& request,
                                                  const std::string& instance);
// The same of a watch: its `vm` and `states`.
absl::StatusOr<ConnectionQuery> ToConnectionQuery(const v1::WatchConnectionsRequest& request);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_CONNECTION_QUERY_H_
