// SPDX-License-Identifier: Apache-2.0
#include "server/status/status_conversion.h"

#include <map>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "api/google/rpc/status.pb.h"

namespace kinsock {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  // Abseil keeps payloads in no order; a client sees them in that of their names.
  std::map<std::string, std::string> payloads;
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    payloads.emplace(std::string(type_url), std::string(payload));
  });
  for (auto& [type_url, bytes] : payloads) {
    google::protobuf::Any* detail = details.add_details();
    detail->set_type_url(type_url);
    detail->set_value(std::move(bytes));
  }
  // The codes of Abseil and gRPC are the same numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), details.message(), details.SerializeAsString());
}

}  // namespace kinsock
