// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_FORWARD_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_FORWARD_CONVERSION_H_

#include "absl/status/statusor.h"
#include "api/kinsock/v1/forward_service.pb.h"
#include "server/model/forward_spec.h"

namespace kinsock {

// Between the messages of ForwardService and the daemon's values. INVALID_ARGUMENT FIELD_INVALID for what the messages
// allow and the values cannot say; the rest is for forward_validation. Any thread, but see UserId().

v1::Forward ToProto(const ForwardSnapshot& forward);
// Finds out who the users and groups are.
ForwardSpec ToForwardSpec(const v1::Forward& forward);

absl::StatusOr<ForwardCreation> ToForwardCreation(const v1::CreateForwardRequest& request);
// Its `change` asks nobody who anybody is.
absl::StatusOr<ForwardUpdate> ToForwardUpdate(const v1::UpdateForwardRequest& request);
absl::StatusOr<ForwardDeletion> ToForwardDeletion(const v1::DeleteForwardRequest& request);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_FORWARD_CONVERSION_H_
