// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_CHANGE_MASK_H_
#define KINSOCK_SERVER_CONVERT_CHANGE_MASK_H_

#include <initializer_list>

#include "absl/status/statusor.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/util/field_mask_util.h"
#include "server/convert/request_hash.h"
#include "server/model/network.h"

namespace kinsock {

// What the requests that change a definition have in common. Pure functions; any thread.

// The fields to change; all of `fields` for none and "*". Where "quota" is one, each of its limits is, too.
// INVALID_ARGUMENT FIELD_INVALID for any other.
absl::StatusOr<google::protobuf::FieldMask> ToMask(const google::protobuf::FieldMask& mask,
                                                   std::initializer_list<const char*> fields);

// Takes over the fields that `mask` names, as they are in `from`.
template <typename Message>
void MergeByMask(const Message& from, const google::protobuf::FieldMask& mask, Message& into) {
  google::protobuf::util::FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(from, mask, options, &into);
}

template <typename Request>
void SetRequest(const Request& request, MutationRequest& out) {
  out.request_id = request.request_id();
  out.request_hash = RequestHash(request);
  out.validate_only = request.validate_only();
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_CHANGE_MASK_H_
