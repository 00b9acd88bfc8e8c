// SPDX-License-Identifier: Apache-2.0
#include "web/json_text.h"

#include <google/protobuf/util/json_util.h>

#include "api/google/rpc/status.pb.h"
#include "server/status/status_conversion.h"

namespace kinsock {

std::string JsonOf(const google::protobuf::Message& message) {
  std::string json;
  // What is no UTF-8 somewhere in it has no JSON.
  if (!google::protobuf::util::MessageToJsonString(message, &json).ok()) return "{}";
  return json;
}

std::string JsonOf(const absl::Status& status) {
  google::rpc::Status wrong;
  if (!wrong.ParseFromString(ToGrpcStatus(status).error_details())) wrong.set_message("what is wrong cannot be said");
  return JsonOf(wrong);
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kOutOfRange:
      return 410;  // what the token or version names is gone, as in Kubernetes
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace kinsock
